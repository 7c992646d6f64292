"""A stick is in already when the device is switched on."""

from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, keep_a_moment, kept_digests


def test_stick_at_boot(device: VirtualDevice) -> None:
    """It is served like any other."""
    keep_a_moment(device)
    stick = Stick(device.place / "stick", "vfat")
    device.run("systemctl", "mask", "--runtime", "missed-moment-export@.service")  # not yet
    port = device.plug(stick.image)
    device.wait_until(device.disks, 60, "the stick is seen")

    device.reboot()
    device.wait_for_led("solid", 0, 180)
    device.pull(port)
    device.wait_until(lambda: device.state() == "recording", 120, "it records")
    assert digests_on(device, stick) == kept_digests(device)
