"""The camera is there, and films nothing; nobody is there to mend it."""

import pytest

from machines.virtual_device import VirtualDevice, missing

# VIDIOC_S_CTRL, and vivid's control for the share of pictures that it drops: until the next start of the board.
_FILM_NOTHING = """
import fcntl, struct
with open("/dev/video0", "rb+", buffering=0) as camera:
    fcntl.ioctl(camera, 0xC008561C, struct.pack("Ii", 0x00F0F040, 100))
"""


def test_a_camera_that_films_nothing() -> None:
    """It is started again, then the recorder is, twice, then the board; that helps, and is told."""
    if why := missing():
        pytest.skip(why)
    with VirtualDevice() as device:
        device.wait_until(lambda: device.state() == "recording", 180, "it records")
        before = device.now()
        device.run("python3", "-c", _FILM_NOTHING)
        device.wait_until(lambda: "fault 2" in device.led_names(before), 60, "the LED says what is wrong")
        device.starts_again(300)
        device.wait_until(lambda: device.state() == "recording", 240, "it records again")
        assert device.status()["restarts"] == {"camera": 0, "recorder": 0, "board": 1}
        device.look_at_everything()
        device.wait_until(lambda: device.status()["restarts"]["board"] == 0, 180, "that was long ago")
