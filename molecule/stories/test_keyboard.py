"""Something that is called a stick is a keyboard."""

from machines.virtual_device import VirtualDevice

_AUTHORISED = "cat /sys/bus/usb/devices/[0-9]*-[0-9]/authorized 2>/dev/null; true"
_ADMIT = """
for device in /sys/bus/usb/devices/[0-9]*-[0-9]; do
    echo 1 >"$device/authorized"
    for interface in "$device"/*:*.*; do
        echo 1 >"$interface/authorized"
        echo "${interface##*/}" >/sys/bus/usb/drivers_probe || true  # its driver may not be loaded yet
    done
done
"""
_HEARD = "grep -c 'Phys=usb' /proc/bus/input/devices; true"


def test_a_keyboard_is_not_admitted(device: VirtualDevice) -> None:
    """Nobody listens to it, the journal names it, and it would be heard if somebody on the device admitted it."""
    pull = device.usb.plug_keyboard()
    device.wait_until(lambda: device.run("sh", "-c", _AUTHORISED).split() == ["0"], 60, "it is seen, and not admitted")
    device.run("udevadm", "settle")
    assert device.run("sh", "-c", _AUTHORISED).split() == ["0"]
    assert device.run("sh", "-c", _HEARD).split() == ["0"]
    told = device.run("journalctl", "--boot", "--no-pager", "--output=cat", "--identifier=missed-moment-usb")
    assert "is not admitted" in told

    # Admitted, it would be heard.
    device.run("sh", "-euc", _ADMIT)
    device.wait_until(lambda: device.run("sh", "-c", _HEARD).split() == ["1"], 60, "it is heard")
    pull()
    assert device.status()["faults"] == {}
