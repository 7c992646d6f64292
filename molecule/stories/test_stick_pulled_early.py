"""A stick is pulled in the middle of the copy, and plugged in again."""

from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, keep_a_moment, kept_digests, plug_until_solid

SLOW = 150_000
"""Bytes a second."""
SOME = 300_000
"""Bytes: more than the stick's own tables, less than a clip."""


def test_stick_pulled_early(device: VirtualDevice) -> None:
    """The LED counts to four; plugged in again, the copy goes on, and what was half there is gone or whole."""
    keep_a_moment(device)
    stick = Stick(device.place / "stick", "vfat")
    before = device.now()
    port = device.plug(stick.image, slow_bytes_per_s=SLOW)
    device.usb.wait_for_bytes(port, SOME, 300)
    device.pull(port)
    device.wait_for_led("fault 4", before, 60)
    # Until the kernel has noticed, it is an error of the stick.
    told = "it is told that the stick was pulled"
    device.wait_until(lambda: "plug it in again" in device.status()["faults"].get("stick", ""), 60, told)

    again = device.now()
    device.pull(plug_until_solid(device, stick))
    device.wait_for_led("recording", again, 60)
    assert digests_on(device, stick) == kept_digests(device)
    assert device.status()["faults"] == {}
