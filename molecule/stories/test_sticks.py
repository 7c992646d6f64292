"""A stick is plugged in: the clips are found on it, and the LED says when it is safe to pull."""

import pytest

from machines import sticks
from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, keep_a_moment, kept_digests, plug_until_solid


@pytest.mark.parametrize("kind", sticks.KINDS)
def test_clips_are_found_on_the_stick(kind: str, device: VirtualDevice) -> None:
    """Each clip is on it, as it is on the device; the stick is clean, off, and nothing else was written to it."""
    stick = Stick(device.place / "stick", kind)
    keep_a_moment(device)
    before = device.now()

    port = plug_until_solid(device, stick)
    assert device.disks() == [], "the stick's node is still there"
    device.pull(port)
    device.wait_for_led("recording", before, 30)

    said = [name for name in device.led_names(before) if name != "recording"]
    assert said == ["copying", "solid"]
    assert digests_on(device, stick) == kept_digests(device)
    assert all(moment["exported"] for moment in device.moments())


def test_a_stick_that_nobody_can_read(device: VirtualDevice) -> None:
    """The LED counts to four while it is in, and has forgotten it when it is out."""
    stick = Stick(device.place / "blank", sticks.BLANK)
    before = device.now()
    port = device.plug(stick.image)
    device.wait_for_led("fault 4", before, 90)
    assert "format it as vfat or exfat" in device.status()["faults"]["stick"]

    device.pull(port)
    device.wait_for_led("recording", before, 60)
    assert device.status()["faults"] == {}


def test_two_presses_and_two_sticks(device: VirtualDevice) -> None:
    """Both moments are on both sticks, which were in at the same time."""
    keep_a_moment(device)
    keep_a_moment(device)
    both = [Stick(device.place / name, "vfat") for name in ("one", "other")]
    before = device.now()
    ports = [device.plug(stick.image) for stick in both]
    device.wait_until(lambda: device.disks() == [] and device.led_names(before)[-1:] == ["solid"], 180, "both are done")
    for port in ports:
        device.pull(port)
    device.wait_for_led("recording", before, 60)

    for stick in both:
        assert digests_on(device, stick) == kept_digests(device)
