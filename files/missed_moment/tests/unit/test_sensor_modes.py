"""The sensor's mode is the one that sees the most, as long as it is fast and sharp enough.

The modes are those that `rpicam-hello --list-cameras` prints for each module (Raspberry Pi's documentation,
camera_software.html; crops as in the kernel's drivers imx219.c, imx477.c, imx708.c and ov5647.c).
"""

import pytest

from missed_moment.capture.sensor_modes import SensorMode, choose_mode

V1 = [  # ov5647
    SensorMode((640, 480), 10, 58.92, (2560, 1920)),
    SensorMode((1296, 972), 10, 46.34, (2592, 1944)),
    SensorMode((1920, 1080), 10, 32.81, (1928, 1080)),
    SensorMode((2592, 1944), 10, 15.63, (2592, 1944)),
]
V2 = [  # imx219
    SensorMode(size, depth, fps, crop)
    for depth, half in ((10, 41.85), (8, 83.70))
    for size, fps, crop in (
        ((640, 480), 206.65, (1280, 960)),
        ((1640, 1232), half, (3280, 2464)),
        ((1920, 1080), 47.57, (1920, 1080)),
        ((3280, 2464), 21.19, (3280, 2464)),
    )
]
V3 = [  # imx708
    SensorMode((1536, 864), 10, 120.13, (3072, 1728)),
    SensorMode((2304, 1296), 10, 56.03, (4608, 2592)),
    SensorMode((4608, 2592), 10, 14.35, (4608, 2592)),
]
HQ = [  # imx477
    SensorMode((1332, 990), 10, 120.05, (2664, 1980)),
    SensorMode((2028, 1080), 12, 50.03, (4056, 2160)),
    SensorMode((2028, 1520), 12, 40.01, (4056, 3040)),
    SensorMode((4056, 3040), 12, 10.00, (4056, 3040)),
]
HD, FULL_HD, VGA = (1280, 720), (1920, 1080), (640, 480)


@pytest.mark.setting("video.field_of_view")
@pytest.mark.parametrize(
    ("modes", "size", "fps", "chosen"),
    [
        (V3, HD, 30, (2304, 1296)),
        (V3, FULL_HD, 30, (2304, 1296)),
        (V3, HD, 60, (1536, 864)),  # nothing else is as fast
        (V3, HD, 10, (2304, 1296)),  # the largest mode sees the same, and costs more
        (V1, HD, 30, (1296, 972)),
        (V1, FULL_HD, 30, (1296, 972)),  # enlarged by half, but it sees 1.8 times as much
        (V1, FULL_HD, 15, (2592, 1944)),
        (V1, VGA, 50, (640, 480)),
        (V2, HD, 30, (1640, 1232)),
        (V2, FULL_HD, 30, (1640, 1232)),
        (V2, FULL_HD, 20, (3280, 2464)),
        (V2, FULL_HD, 60, (1640, 1232)),  # with 8 bits only
        (HQ, HD, 30, (2028, 1520)),
        (HQ, FULL_HD, 50, (2028, 1080)),
        (HQ, HD, 60, (1332, 990)),
    ],
)
def test_the_mode_sees_the_most_at_the_rate_of_the_settings(
    modes: list[SensorMode], size: tuple[int, int], fps: int, chosen: tuple[int, int]
) -> None:
    mode = choose_mode(modes, size, fps, "full")
    assert mode is not None
    assert mode.size == chosen
    assert mode.fps >= fps
    assert mode.bit_depth == max(other.bit_depth for other in modes if other.size == chosen and other.fps >= fps)
    assert choose_mode(modes, size, fps, "crop") is None


@pytest.mark.parametrize(("modes", "size", "fps"), [(V1, FULL_HD, 60), ([], HD, 30)])
def test_without_a_mode_that_is_fast_enough_the_choice_is_picamera2s(
    modes: list[SensorMode], size: tuple[int, int], fps: int
) -> None:
    assert choose_mode(modes, size, fps, "full") is None


def test_a_rate_that_was_rounded_down_is_fast_enough() -> None:
    modes = [SensorMode(HD, 10, 29.97, (2560, 1440))]
    assert choose_mode(modes, HD, 30, "full") == modes[0]
