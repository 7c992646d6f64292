"""The third partition is missing, broken, late or slow: the device films, and what comes back is used."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from machines.disk import device_disk
from machines.sticks import MB
from machines.virtual_device import VirtualDevice
from stories.filling import keep_a_moment

_LET_GO = """
systemctl stop missed-moment.service
systemctl stop missed-moment-state.service
umount /data
"""
_SPOILED = {
    "missing": "sfdisk --quiet --no-reread --force --delete /dev/vda 3",
    # Every copy of the superblock is gone, and whatever else there was. Some services still have it mounted.
    "broken": "dd if=/dev/zero of=/dev/vda3 bs=1M status=none || sync  # it ends with the partition",
}
_DISK_MB, _SLOW_BYTES_PER_S = 96, 64 << 10
_DISK_PARTUUID = "6d6d0008-01"
# fstab names another disk from the next start on; nothing treats it as a stick.
_MOVE_DATA = f"""
mount -o remount,rw /
sed -i 's/^PARTUUID=[^ \\t]*\\([ \\t]*\\/data\\)/PARTUUID={_DISK_PARTUUID}\\1/' /etc/fstab
ln -sf /dev/null /etc/systemd/system/missed-moment-export@.service
sync
mount -o remount,ro /
"""


@pytest.fixture
def device() -> Iterator[VirtualDevice]:
    """Have a device that was just switched on, and records."""
    with VirtualDevice(device_disk()) as device:
        device.until_it_records(180)
        yield device


def ordered_after(device: VirtualDevice, unit: str) -> set[str]:
    """Return every unit that `unit` waits for, however indirectly, of those that systemd has loaded."""
    found: set[str] = set()
    new = {unit}
    while new:
        said = device.run("systemctl", "show", "--property=After", "--value", "--", *sorted(new))
        found |= new
        new = set(said.split()) - found
    return found


def nothing_waits_for_data(device: VirtualDevice) -> None:
    """Neither the recorder nor the start of the system is ordered after /data, or what /data waits for."""
    for unit in ("missed-moment.service", "sysinit.target", "basic.target"):
        waits_for = ordered_after(device, unit)
        assert "local-fs.target" in waits_for, waits_for
        late = {name for name in waits_for if name.startswith(("data.mount", "missed-moment-state", "systemd-growfs@"))}
        assert not late, (unit, late)


def records_without_data(device: VirtualDevice) -> None:
    """It films, says that it cannot save, and nothing that the system needs has failed."""
    device.until_it_records(240)
    status = device.status()
    assert "save_failed" in {name.lower() for name in status["faults"]}, status
    assert device.run("systemctl", "is-active", "sysinit.target", "systemd-timesyncd.service").split() == ["active"] * 2
    nothing_waits_for_data(device)


def test_the_start_does_not_wait_for_data(device: VirtualDevice) -> None:
    """On a healthy device as well; the state that lasts is bound once /data is there."""
    nothing_waits_for_data(device)
    device.wait_until(
        lambda: "/state/var/lib/systemd /var/lib/systemd " in device.run("cat", "/proc/self/mountinfo"),
        120,
        "the state is bound from /data",
    )
    assert device.run("systemctl", "is-active", "systemd-growfs@data.service").strip() == "active"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", _SPOILED)
def test_it_films_without_its_third_partition(device: VirtualDevice, way: str) -> None:
    """The partition is gone, or nothing on it can be read as a file system."""
    device.run("sh", "-euc", _LET_GO)
    device.run("sh", "-euc", _SPOILED[way], timeout_s=600)
    device.power_cut()
    device.switch_on()
    records_without_data(device)
    assert _state(device) in {"inactive", "failed"}
    # Not the 90 s that systemd waits by default.
    assert "x-systemd.device-timeout=10s" in device.run("cat", "/etc/fstab")


@pytest.mark.timeout(3600)
def test_it_uses_a_partition_that_comes_late(device: VirtualDevice, tmp_path: Path) -> None:
    """On a busy board, or from a slow disk, it appears after systemd has given it up."""
    disk = _disk_for_data(tmp_path)
    device.run("sh", "-euc", _MOVE_DATA)
    device.reboot()
    records_without_data(device)
    device.wait_until(lambda: "data.mount" not in device.run("systemctl", "list-jobs"), 120, "systemd gives it up")
    assert _state(device) != "active"
    device.plug(disk)
    _is_used_once_mounted(device, 120)


@pytest.mark.timeout(3600)
def test_it_films_while_a_slow_partition_is_checked(device: VirtualDevice, tmp_path: Path) -> None:
    """A file system that takes minutes to check holds nothing up; it is used once it is mounted."""
    disk = _disk_for_data(tmp_path)
    # Marked as damaged: the whole of it is read before it is mounted.
    subprocess.run(["debugfs", "-w", "-R", "set_super_value state 2", f"{disk}?offset={MB}"], check=True)
    device.run("sh", "-euc", _MOVE_DATA)
    device.plug(disk, slow_bytes_per_s=_SLOW_BYTES_PER_S)
    device.reboot()
    device.until_it_records(300)
    assert _state(device) != "active"
    nothing_waits_for_data(device)
    _is_used_once_mounted(device, 1800)


def _disk_for_data(tmp_path: Path) -> Path:
    """Make a disk with one partition, an empty ext4, that can hold /data."""
    disk = tmp_path / "disk"
    disk.touch()
    with disk.open("r+b") as file:
        file.truncate((_DISK_MB + 1) * MB)
    table = f"label: dos\nlabel-id: 0x{_DISK_PARTUUID.partition('-')[0]}\nstart=1MiB, type=L\n"
    subprocess.run(["sfdisk", "--quiet", disk], input=table, text=True, check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", f"offset={MB}", disk, f"{_DISK_MB}M"], check=True)
    return disk


def _state(device: VirtualDevice) -> str:
    return device.run("systemctl", "show", "--property=ActiveState", "--value", "data.mount").strip()


def _is_used_once_mounted(device: VirtualDevice, timeout_s: float) -> None:
    device.wait_until(lambda: _state(device) == "active", timeout_s, "the partition is mounted")
    device.wait_until(lambda: not device.status()["faults"], 120, "the recorder uses it")
    keep_a_moment(device)
