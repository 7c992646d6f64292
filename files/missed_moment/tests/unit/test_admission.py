"""Which of what was plugged in is used."""

from pathlib import Path

import pytest

from missed_moment.errors import StickError, SystemDiskError
from missed_moment.export.admission import Interface, Volume, admit, choose

ACCEPTED = ("vfat", "exfat")
GPT_EFI = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"


def volume(name: str, filesystem: str, gigabytes: float = 1, partition_type: str = "", busy: bool = False) -> Volume:
    return Volume(Path("/dev") / name, int(gigabytes * 1e9), filesystem, partition_type, busy)


def interfaces(*written: str) -> list[Interface]:
    return [Interface(text[:2], text[2:4], text[4:]) for text in written]


@pytest.mark.parametrize(
    "written",
    [["080650"], ["080662"], ["080650", "080662"], ["080650", "080650"], ["080250"], ["080550"], ["080262"]],
)
def test_storage_is_admitted(written: list[str]) -> None:
    admit(interfaces(*written))


@pytest.mark.parametrize(
    "written",
    [[], ["030101"], ["080650", "030101"], ["030101", "080650"], ["080650", "ff0000"], ["080450"], ["080600"]],
)
def test_what_is_more_than_storage_is_refused(written: list[str]) -> None:
    with pytest.raises(StickError, match="more than a stick"):
        admit(interfaces(*written))


@pytest.mark.parametrize(
    ("volumes", "chosen"),
    [
        ([volume("sda", "vfat")], "sda"),
        ([volume("sda1", "exfat")], "sda1"),
        ([volume("sda1", "vfat", 1), volume("sda2", "exfat", 60)], "sda2"),
        ([volume("sda1", "vfat", 60), volume("sda2", "exfat", 1)], "sda1"),
        ([volume("sda1", "vfat", 60, GPT_EFI), volume("sda2", "exfat", 1)], "sda2"),
        ([volume("sda1", "vfat", 60, GPT_EFI.upper()), volume("sda2", "exfat", 1)], "sda2"),
        ([volume("sda1", "vfat", 60, "0xef"), volume("sda2", "vfat", 1, "0xc")], "sda2"),
        ([volume("sda1", "ntfs", 60), volume("sda2", "vfat", 1)], "sda2"),
        ([volume("sda1", "crypto_LUKS", 60), volume("sda2", "swap", 9), volume("sda3", "vfat", 1)], "sda3"),
        ([volume("sda1", "", 60), volume("sda2", "vfat", 1)], "sda2"),
    ],
)
def test_the_largest_that_is_accepted_is_chosen(volumes: list[Volume], chosen: str) -> None:
    assert choose(volumes, ACCEPTED).node.name == chosen
    assert choose(reversed(volumes), ACCEPTED).node.name == chosen


@pytest.mark.parametrize(
    ("volumes", "seen"),
    [
        ([], "no medium"),
        ([volume("sda", "")], "sda (nothing known, 1.0 GB)"),
        ([volume("sda1", "ext4", 8)], "sda1 (ext4, 8.0 GB)"),
        ([volume("sda1", "vfat", 8, GPT_EFI)], "sda1 (vfat, 8.0 GB)"),
    ],
)
def test_where_none_will_do_it_is_said_what_was_seen_and_what_to_do(volumes: list[Volume], seen: str) -> None:
    with pytest.raises(StickError) as refusal:
        choose(volumes, ACCEPTED)
    assert seen in str(refusal.value)
    assert "format it as vfat or exfat" in str(refusal.value)


def test_a_disk_that_the_system_lives_on_is_never_touched() -> None:
    with pytest.raises(SystemDiskError):
        choose([volume("sda1", "vfat", 60), volume("sda2", "ext4", 1, busy=True)], ACCEPTED)


@pytest.mark.parametrize("kind", ["LVM2_member", "linux_raid_member", "zfs_member"])
def test_a_part_of_something_larger_is_no_stick(kind: str) -> None:
    with pytest.raises(SystemDiskError):
        choose([volume("sda1", "vfat", 60), volume("sda2", kind, 1)], ACCEPTED)
