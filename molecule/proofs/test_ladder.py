"""The camera is there, and films nothing; nobody is there to mend it."""

from machines.virtual_device import VirtualDevice

# VIDIOC_S_CTRL, and vivid's control for the share of pictures that it drops: until the next start of the board.
_FILM_NOTHING = """
import fcntl, struct
with open("/dev/video0", "rb+", buffering=0) as camera:
    fcntl.ioctl(camera, 0xC008561C, struct.pack("Ii", 0x00F0F040, 100))
"""


def test_a_camera_that_films_nothing(fresh: VirtualDevice) -> None:
    """It is started again, then the recorder is, twice, then the board; that helps, and is told."""
    before = fresh.now()
    fresh.run("python3", "-c", _FILM_NOTHING)
    fresh.wait_until(lambda: "fault 2" in fresh.led_names(before), 60, "the LED says what is wrong")
    fresh.starts_again(300)
    fresh.until_it_records(240)
    assert fresh.status()["restarts"] == {"camera": 0, "recorder": 0, "board": 1}
    fresh.look_at_everything()
    fresh.wait_until(lambda: fresh.status()["restarts"]["board"] == 0, 180, "that was long ago")
