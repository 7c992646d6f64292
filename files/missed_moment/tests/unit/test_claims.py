"""Disks that fstab, crypttab or the owner's list names are no sticks, mounted or not."""

from pathlib import Path

import pytest

from missed_moment.export import claims

SAMBA = {
    "ID_FS_UUID": "2f6ab1b3-6b16-4b8e-8b4d-0a5ad2a2c1aa",
    "ID_FS_UUID_ENC": "2f6ab1b3-6b16-4b8e-8b4d-0a5ad2a2c1aa",
    "ID_FS_LABEL": "My_Films",
    "ID_FS_LABEL_ENC": "My\\x20Films",
    "ID_FS_TYPE": "ext4",
    "ID_PART_ENTRY_UUID": "7c3f0a55-01",
    "ID_PART_ENTRY_NAME": "big\\x20data",
    "ID_PART_TABLE_UUID": "7c3f0a55",
}
NODES = ["/dev/sda1", "/dev/disk/by-uuid/2f6ab1b3-6b16-4b8e-8b4d-0a5ad2a2c1aa", "/dev/disk/by-id/usb-WD_1234-0:0-part1"]

NAMED = [
    "UUID=2f6ab1b3-6b16-4b8e-8b4d-0a5ad2a2c1aa",
    "UUID=2F6AB1B3-6B16-4B8E-8B4D-0A5AD2A2C1AA",
    'UUID="2f6ab1b3-6b16-4b8e-8b4d-0a5ad2a2c1aa"',
    "LABEL=My\\040Films",
    "LABEL=My_Films",
    "PARTUUID=7c3f0a55-01",
    "PARTLABEL=big\\040data",
    "PTUUID=7c3f0a55",
    "ID=usb-WD_1234-0:0-part1",
    "/dev/sda1",
    "/dev/disk/by-uuid/2f6ab1b3-6b16-4b8e-8b4d-0a5ad2a2c1aa",
    "/dev/disk/by-id/usb-WD_1234-0:0-part1",
]
OTHERS = [
    "UUID=",
    "LABEL=",
    "UUID=2f6ab1b3",
    "LABEL=Films",
    "PARTUUID=7c3f0a55-02",
    "/dev/sda",
    "/dev/sda2",
    "tmpfs",
    "proc",
    "//server/share",
    "#UUID=2f6ab1b3-6b16-4b8e-8b4d-0a5ad2a2c1aa",
]


@pytest.mark.parametrize("spec", NAMED)
def test_a_disk_in_fstab_is_held(spec: str, tmp_path: Path) -> None:
    (tmp_path / "fstab").write_text(f"proc /proc proc defaults 0 0\n\n{spec}\t/srv/samba ext4 nofail,noauto 0 2\n")
    held = claims.read(tmp_path / "fstab", tmp_path / "none", tmp_path / "none")
    assert held.hold(SAMBA, NODES)
    assert not held.hold({"ID_FS_TYPE": "vfat", "ID_FS_UUID": "1234-ABCD"}, ["/dev/sdb1"])


@pytest.mark.parametrize("spec", OTHERS)
def test_a_stick_that_is_not_in_fstab_is_not_held(spec: str, tmp_path: Path) -> None:
    (tmp_path / "fstab").write_text(f"{spec} /srv/samba ext4 nofail 0 2\n")
    assert not claims.read(tmp_path / "fstab", tmp_path / "none").hold(SAMBA, NODES)
    assert not claims.read(tmp_path / "fstab", tmp_path / "none").hold({}, [])


@pytest.mark.parametrize("spec", NAMED)
def test_a_disk_in_crypttab_or_on_the_list_is_held(spec: str, tmp_path: Path) -> None:
    (tmp_path / "crypttab").write_text(f"# name device\nsecret {spec} none luks\n")
    (tmp_path / "ignored").write_text(f"# disks that are no sticks\n{spec}\n")
    assert claims.read(tmp_path / "none", tmp_path / "crypttab").hold(SAMBA, NODES)
    assert claims.read(tmp_path / "none", tmp_path / "none", tmp_path / "ignored").hold(SAMBA, NODES)


@pytest.mark.parametrize("name", ["srv-samba.mount", "data.swap"])
def test_a_disk_of_a_mount_unit_is_held(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(f"[Unit]\n\n[Mount]\nWhat={NODES[1]}\nWhere=/srv/samba\n")
    (tmp_path / "gone.mount").symlink_to(tmp_path / "nothing")
    held = claims.read(tmp_path / "none", tmp_path / "none", units=tmp_path)
    assert held.hold(SAMBA, NODES)
    assert not held.hold({}, ["/dev/sdb1"])


def test_this_systems_own_fstab_can_be_read() -> None:
    assert not claims.read().hold({}, [])
