"""Something fails while the system starts, and nobody sits at a console."""

import re

from imaging import REPOSITORY
from machines.virtual_device import VirtualDevice

_FSTAB = (REPOSITORY / "image" / "templates" / "fstab.j2").read_text()
_BOOT = re.compile(r"/boot/firmware vfat (\S+) 0 2")
_DAMAGE = """
mount -o remount,rw /
sed -i -E 's|^(\\S+\\s+/boot/firmware\\s+vfat\\s+)\\S+|\\1'"$1"'|' /etc/fstab
damaged=$(findmnt --noheadings --output SOURCE /boot/firmware)
umount --lazy /boot/firmware
dd if=/dev/zero of="$damaged" bs=1M count=4 conv=fsync status=none
"""


def test_emergency_mode_ends(fresh: VirtualDevice) -> None:
    """It reboots after a minute: what failed once may not fail twice."""
    fresh.run("systemctl", "--no-block", "isolate", "emergency.target")
    fresh.starts_again(300)
    fresh.until_it_records(240)


def test_a_damaged_boot_partition(fresh: VirtualDevice) -> None:
    """As on a flashed card: the system starts, the LED says 7, and what the owner may have switched off stays off."""
    options = _BOOT.findall(_FSTAB)
    fresh.run("sh", "-euc", _DAMAGE, "sh", f"{options[0]},ro")
    fresh.reboot()
    fresh.wait_until(lambda: fresh.state() == "off", 240, "the recorder is there, and films nothing")
    assert "/boot/firmware is not mounted" in fresh.status()["faults"]["settings"]
    fresh.wait_until(lambda: "fault 7" in fresh.led_names(), 60, "the LED says what is wrong")
    assert fresh.run("systemctl", "is-active", "multi-user.target").strip() == "active"
