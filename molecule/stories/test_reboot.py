"""The device is started again, once properly and once by pulling the plug."""

from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, keep_a_moment, kept_digests


def test_reboot(device: VirtualDevice) -> None:
    """It records again, has every moment that was kept, and serves a stick that is in already."""
    keep_a_moment(device)
    before = device.moments()
    stick = Stick(device.place / "stick", "vfat")
    device.run("systemctl", "mask", "--runtime", "missed-moment-export@.service")  # not yet
    port = device.plug(stick.image)
    device.wait_until(device.disks, 60, "the stick is seen")

    device.reboot()
    # Until the minute is full the LED breathes, which looks solid where the host is busy.
    device.wait_until(lambda: all(moment["exported"] for moment in device.moments()), 240, "all is exported")
    device.wait_for_led("solid", 0, 60)
    device.pull(port)
    device.until_it_records(180)
    assert [moment["clip"] for moment in device.moments()] == [moment["clip"] for moment in before]
    assert digests_on(device, stick) == kept_digests(device)


def test_power_cut(device: VirtualDevice) -> None:
    """The plug is pulled as soon as the LED says kept; the moment is there."""
    before = len(device.moments())
    pressed = device.press()
    device.wait_until(lambda: "kept" in device.led_names(pressed), 30, "the LED says kept")

    device.power_cut()
    device.switch_on()
    device.until_it_records(180)
    moments = device.moments()
    assert len(moments) == before + 1
    device.run("missed-moment", "check", moments[-1]["clip"])
