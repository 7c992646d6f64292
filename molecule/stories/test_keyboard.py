"""Something that is called a stick is a keyboard."""

from machines.virtual_device import VirtualDevice

_AUTHORISED = "for device in /sys/bus/usb/devices/[0-9]*-[0-9]; do cat $device/authorized 2>/dev/null; done"


def test_a_keyboard_is_not_admitted(device: VirtualDevice) -> None:
    """The kernel sees it, and nobody listens to it."""
    before = device.run("ls", "/dev/input")
    pull = device.usb.plug_keyboard()
    device.wait_until(lambda: device.run("sh", "-c", _AUTHORISED).split() == ["0"], 60, "it is seen, and not admitted")
    device.run("udevadm", "settle")
    assert device.run("ls", "/dev/input") == before
    pull()
    assert device.status()["faults"] == {}
