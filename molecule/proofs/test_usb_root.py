"""Somebody's Pi starts from a USB disk: it is a camera like any other, and its disk is no stick."""

import pytest

from machines.disk import usb_disk
from machines.qemu import LARGE_MB
from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, keep_a_moment, kept_digests

_SYSTEM = ["sda"]
_WRITE = "echo here >/var/lib/written && sync && cat /var/lib/written"


@pytest.mark.timeout(3600)
def test_the_disk_of_the_system_is_no_stick() -> None:
    """It is neither written to by an exporter nor switched off; a stick beside it is filled."""
    with VirtualDevice(usb_disk(), memory_mb=LARGE_MB) as device:
        device.until_it_records(240)
        assert device.disks() == _SYSTEM
        left_alone(device)

        keep_a_moment(device)
        stick = Stick(device.place / "stick", "vfat")
        port = device.plug(stick.image)
        device.wait_until(lambda: device.usb.written(port) and device.disks() == _SYSTEM, 240, "the stick is served")
        device.pull(port)
        assert digests_on(device, stick) == kept_digests(device)

        device.reboot()
        device.until_it_records(240)
        left_alone(device)
        assert len(device.moments()) == 1


def left_alone(device: VirtualDevice) -> None:
    """Wait until an exporter has looked at the disk of the system; that can be written to, and nothing is wrong."""
    looked = ("journalctl", "--boot", "--output=cat", "--unit=missed-moment-export@*")
    device.wait_until(lambda: "in use by this system" in device.run(*looked), 120, "the exporter has looked at it")
    assert device.run("sh", "-c", _WRITE) == "here\n"
    assert device.status()["faults"] == {}
