"""Sticks are pulled at any time, and what is plugged in is not always a stick."""

from collections.abc import Callable

import pytest

from machines.sticks import Stick
from machines.usb import HUB_SOCKETS, Port
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, kept_digests, plug_until_solid

YANKS = range(5, 100, 5)
"""Percent of a copy."""
_UMOUNT = 166
"""The number of umount2(2) on this processor."""
_UNTIL_UNMOUNTING = f"""
until pid=$(pgrep -f "[e]xport-stick"); do sleep 0.1; done
until read -r call _ </proc/"$pid"/syscall && [ "$call" = {_UMOUNT} ]; do :; done
"""
_TYPING_STICK = """
modprobe -a dummy_hcd libcomposite
truncate -s 8M /run/typing.img
cd /sys/kernel/config/usb_gadget && mkdir typing && cd typing
mkdir strings/0x409 configs/c.1 functions/mass_storage.0 functions/hid.0
echo 0x1d6b >idVendor; echo 0x0104 >idProduct; echo 1 >strings/0x409/serialnumber
echo /run/typing.img >functions/mass_storage.0/lun.0/file
echo 1 >functions/hid.0/protocol; echo 1 >functions/hid.0/subclass; echo 8 >functions/hid.0/report_length
echo BQEJBqEBBQcZ4CnnFQAlAXUBlQiBAsA= | base64 -d >functions/hid.0/report_desc
ln -s functions/mass_storage.0 functions/hid.0 configs/c.1/
ls /sys/class/udc >UDC
"""
_NO_TYPING_STICK = """
cd /sys/kernel/config/usb_gadget/typing
echo >UDC; rm configs/c.1/mass_storage.0 configs/c.1/hid.0
rmdir configs/c.1 functions/* strings/0x409; cd ..; rmdir typing; modprobe -r dummy_hcd
"""


def pull_and_plug_again(kept: VirtualDevice, bytes_per_s: int, until: Callable[[Port], object]) -> None:
    """Have a slow stick filled, pull it when `until` returns, and plug it in again: then all is there."""
    stick = Stick(kept.place / "stick", "vfat")
    port = kept.plug(stick.image, slow_bytes_per_s=bytes_per_s)
    until(port)
    kept.pull(port)
    kept.pull(plug_until_solid(kept, stick))
    assert digests_on(kept, stick) == kept_digests(kept)


@pytest.mark.parametrize("percent", YANKS)
def test_pulled_at_any_point_of_a_copy(percent: int, kept: VirtualDevice) -> None:
    """The copy goes on where it stopped."""
    size = int(kept.run("sh", "-c", "cat /data/clips/moment-*/clip.mp4 | wc -c"))
    pull_and_plug_again(kept, 400_000, lambda port: kept.usb.wait_for_bytes(port, 100_000 + size * percent // 100, 120))


def test_pulled_while_it_is_checked(kept: VirtualDevice) -> None:
    """Before anything was written to it."""
    pull_and_plug_again(kept, 50_000, lambda _: kept.run("sh", "-c", "until pgrep fsck; do sleep 0.1; done"))


def test_pulled_while_it_is_unmounted(kept: VirtualDevice) -> None:
    """When all is written, and not yet all said."""
    pull_and_plug_again(kept, 100_000, lambda _: kept.run("sh", "-c", _UNTIL_UNMOUNTING))


def test_two_sticks_in_a_hub(kept: VirtualDevice) -> None:
    """Each is filled."""
    pull_hub = kept.usb.plug_hub()
    before = kept.now()
    sticks = [Stick(kept.place / socket, kind) for socket, kind in zip(HUB_SOCKETS, ("vfat", "exfat"), strict=True)]
    ports = [kept.plug(stick.image, socket=socket) for stick, socket in zip(sticks, HUB_SOCKETS, strict=True)]
    kept.wait_for_led("solid", before, 240)
    for port in ports:
        kept.pull(port)
    pull_hub()
    for stick in sticks:
        assert digests_on(kept, stick) == kept_digests(kept)


def test_a_stick_that_types(kept: VirtualDevice) -> None:
    """It is storage and a keyboard at once, and is neither here."""
    before = kept.now()
    kept.run("sh", "-euc", _TYPING_STICK)
    kept.wait_for_led("fault 4", before, 60)
    assert "more than a stick" in kept.status()["faults"]["stick"]
    assert kept.disks() == []
    assert kept.run("sh", "-c", "grep -c 'Phys=usb' /proc/bus/input/devices; true").split() == ["0"]
    kept.run("sh", "-euc", _NO_TYPING_STICK)
    kept.wait_for_led("recording", before, 60)
