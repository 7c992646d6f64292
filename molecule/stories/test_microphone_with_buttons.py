"""A USB microphone has buttons: it is heard, and its buttons press nothing."""

from collections.abc import Iterator

import pytest

from machines.virtual_device import VirtualDevice

# A keyboard's report of eight keys, as octal escapes: usage page and usage, collection, usages, values, sizes, input.
_KEYS = "".join(f"\\{byte:03o}" for byte in bytes.fromhex("05010906a10105071900296515002565750895088100c0"))
_GADGET = "/sys/kernel/config/usb_gadget/microphone"
# Sound from the gadget to its host (p_chmask), and a keyboard with one key, behind one plug.
_PLUG = f"""
modprobe -a libcomposite dummy_hcd
mkdir {_GADGET}; cd {_GADGET}
echo 0x0d8c >idVendor; echo 0x013c >idProduct
mkdir functions/uac1.0 functions/hid.0 configs/c.1
echo 1 >functions/uac1.0/p_chmask; echo 0 >functions/uac1.0/c_chmask
echo 1 >functions/hid.0/protocol; echo 1 >functions/hid.0/subclass; echo 8 >functions/hid.0/report_length
printf '{_KEYS}' >functions/hid.0/report_desc
ln -s functions/uac1.0 configs/c.1; ln -s functions/hid.0 configs/c.1
echo dummy_udc.0 >UDC
"""
_PULL = f"""
cd {_GADGET}
echo >UDC || :
rm -f configs/c.1/uac1.0 configs/c.1/hid.0
rmdir configs/c.1 functions/uac1.0 functions/hid.0; cd ..; rmdir {_GADGET}
modprobe -r dummy_hcd
"""
_CARD = "grep -l 0d8c:013c /proc/asound/card*/usbid 2>/dev/null; true"
# Of each of its interfaces: class, whether it is authorized, and its driver.
_INTERFACES = """
for vendor in /sys/bus/usb/devices/*/idVendor; do
    [ "$(cat "$vendor")" = 0d8c ] || continue
    for interface in "${vendor%/idVendor}"/*:*; do
        driver=none
        [ ! -e "$interface/driver" ] || driver=$(basename "$(readlink "$interface/driver")")
        echo "$(cat "$interface/bInterfaceClass") $(cat "$interface/authorized") $driver"
    done
done
"""


@pytest.fixture
def microphone(device: VirtualDevice) -> Iterator[None]:
    """Plug it in, and pull it out in the end."""
    device.run("sh", "-euc", _PLUG)
    yield
    device.run("sh", "-euc", _PULL)


@pytest.mark.usefixtures("microphone")
def test_a_microphone_with_buttons_is_heard(device: VirtualDevice) -> None:
    """Its sound has a driver, its buttons have none, and the journal names them."""
    device.wait_until(lambda: device.run("sh", "-c", _CARD), 60, "its sound card is there")
    interfaces = {tuple(line.split()) for line in device.run("sh", "-euc", _INTERFACES).splitlines()}
    assert interfaces == {("01", "1", "snd-usb-audio"), ("03", "0", "none")}
    told = device.run("journalctl", "--boot", "--no-pager", "--output=cat", "--identifier=missed-moment-usb")
    assert "0d8c:013c" in told
    assert told.splitlines()[-1].endswith("=03"), told
