"""Something that is called a stick is a keyboard."""

from machines.virtual_device import VirtualDevice

_AUTHORISED = "cat /sys/bus/usb/devices/[0-9]*-[0-9]/authorized 2>/dev/null; true"
_HEARD = "grep -c 'Phys=usb' /proc/bus/input/devices; true"


def test_a_keyboard_is_not_admitted(device: VirtualDevice) -> None:
    """The kernel sees it, nobody listens to it, and the journal names it."""
    pull = device.usb.plug_keyboard()
    device.wait_until(lambda: device.run("sh", "-c", _AUTHORISED).split() == ["0"], 60, "it is seen, and not admitted")
    device.run("udevadm", "settle")
    assert device.run("sh", "-c", _AUTHORISED).split() == ["0"]
    assert device.run("sh", "-c", _HEARD).split() == ["0"]
    told = device.run("journalctl", "--boot", "--no-pager", "--output=cat", "--identifier=missed-moment-usb")
    assert "is not admitted" in told
    pull()
    assert device.status()["faults"] == {}
