"""A stick is plugged in: the clips are found on it, and the LED says when it is safe to pull."""

from machines import sticks
from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, keep_a_moment, kept_digests, plug_until_solid


def test_clips_are_found_on_the_stick(device: VirtualDevice) -> None:
    """Each clip is on it, as it is on the device; the stick is clean, off, and nothing else was written to it."""
    stick = Stick(device.place / "stick", "vfat")
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


def test_two_presses_and_all_kinds_of_sticks(device: VirtualDevice) -> None:
    """Both moments are on each of them, and all were in at the same time."""
    keep_a_moment(device)
    keep_a_moment(device)
    filled = [Stick(device.place / f"stick{number}", kind) for number, kind in enumerate(sticks.KINDS)]
    before = device.now()
    ports = [device.plug(stick.image) for stick in filled]
    device.wait_until(lambda: device.disks() == [] and device.led_names(before)[-1:] == ["solid"], 480, "all are done")
    for port in ports:
        device.pull(port)
    device.wait_for_led("recording", before, 60)

    for stick in filled:
        assert digests_on(device, stick) == kept_digests(device), stick.kind


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
