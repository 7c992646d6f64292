"""A USB device has a keyboard beside what is admitted, as a microphone has buttons: the keyboard stays disabled."""

from collections.abc import Iterator

import pytest

from machines.virtual_device import VirtualDevice

# A keyboard's report of eight keys, as octal escapes: usage page and usage, collection, usages, values, sizes, input.
_KEYS = "".join(f"\\{byte:03o}" for byte in bytes.fromhex("05010906a10105071900296515002565750895088100c0"))
_EXPORTER = "missed-moment-export@.service"
_GADGET = "/sys/kernel/config/usb_gadget/composite"
_MEDIUM = "/run/composite.img"
# Storage and a keyboard behind one plug. Sound is not possible: dummy_hcd has no isochronous endpoints.
_PLUG = f"""
modprobe -a libcomposite dummy_hcd
truncate -s 8M {_MEDIUM}
mkdir {_GADGET}; cd {_GADGET}
echo 0x0d8c >idVendor; echo 0x013c >idProduct
mkdir functions/mass_storage.0 functions/hid.0 configs/c.1
echo {_MEDIUM} >functions/mass_storage.0/lun.0/file
echo 1 >functions/hid.0/protocol; echo 1 >functions/hid.0/subclass; echo 8 >functions/hid.0/report_length
printf '{_KEYS}' >functions/hid.0/report_desc
ln -s functions/mass_storage.0 configs/c.1; ln -s functions/hid.0 configs/c.1
echo dummy_udc.0 >UDC
"""
_PULL = f"""
cd {_GADGET}
echo >UDC || :
rm -f configs/c.1/mass_storage.0 configs/c.1/hid.0 {_MEDIUM}
rmdir configs/c.1 functions/mass_storage.0 functions/hid.0; cd ..; rmdir {_GADGET}
modprobe -r dummy_hcd
"""
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
def composite(device: VirtualDevice) -> Iterator[None]:
    """Plug it in, while no exporter looks at it, and pull it out in the end."""
    device.run("systemctl", "mask", "--runtime", _EXPORTER)
    device.run("sh", "-euc", _PLUG)
    yield
    device.run("sh", "-euc", _PULL)
    device.run("systemctl", "unmask", "--runtime", _EXPORTER)


@pytest.mark.usefixtures("composite")
def test_the_keyboard_of_a_composite_device_stays_disabled(device: VirtualDevice) -> None:
    """Its storage has a driver, its keyboard has none, and the journal names the keyboard's interface."""
    device.wait_until(device.disks, 60, "its disk is there")
    interfaces = {tuple(line.split()) for line in device.run("sh", "-euc", _INTERFACES).splitlines()}
    assert interfaces == {("08", "1", "usb-storage"), ("03", "0", "none")}
    told = device.run("journalctl", "--boot", "--no-pager", "--output=cat", "--identifier=missed-moment-usb")
    assert "0d8c:013c" in told.splitlines()[-1]
    assert told.splitlines()[-1].endswith(": 1=03"), told
