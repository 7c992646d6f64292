"""Checking and mounting, with the real programs and the real kernel as far as this machine has them."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from missed_moment.clips.mp4 import BRAND
from missed_moment.errors import StickError
from missed_moment.export import filesystem, mounts
from missed_moment.export.admission import Volume

MEGABYTE = 1024 * 1024
MAKE = {
    "vfat": ["mkfs.vfat", "-F", "32"],
    "exfat": ["mkfs.exfat"],
    "ntfs": ["mkntfs", "-F", "-f"],
    "ext4": ["mkfs.ext4", "-q", "-F"],
}
# FAT32 has a flag in a reserved byte of the boot sector, exFAT one among its volume flags.
DIRTY = {"vfat": (0x41, b"\x01"), "exfat": (0x6A, b"\x02")}

linux = pytest.mark.skipif(sys.platform != "linux", reason="sticks are mounted on Linux")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts")


@pytest.fixture(params=MAKE)
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Volume:
    if not shutil.which(MAKE[request.param][0]):
        pytest.skip(f"needs {MAKE[request.param][0]}")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * MEGABYTE)
    subprocess.run([*MAKE[request.param], image], check=True, capture_output=True)
    return Volume(image, 64 * MEGABYTE, request.param)


def test_every_kind_is_tried() -> None:
    assert set(MAKE) == set(filesystem.SUPPORTED)


def damage(volume: Volume, at: int, content: bytes) -> None:
    with volume.node.open("r+b") as file:
        file.seek(at)
        file.write(content)


def test_a_sound_file_system_is_left_as_it_is(volume: Volume) -> None:
    before = volume.node.read_bytes()
    filesystem.check(volume)
    after = volume.node.read_bytes()
    # ext4's superblock, its second kilobyte, says when it was looked at.
    begin, end = (1024, 2048) if volume.filesystem == "ext4" else (0, 0)
    assert after[:begin] + after[end:] == before[:begin] + before[end:]


@pytest.mark.parametrize("volume", DIRTY, indirect=True)
def test_what_was_pulled_while_it_was_written_to_is_repaired(volume: Volume) -> None:
    damage(volume, *DIRTY[volume.filesystem])
    filesystem.check(volume)
    filesystem.check(volume)


def test_what_cannot_be_repaired_is_refused(volume: Volume) -> None:
    damage(volume, 0, b"\xff" * MEGABYTE)
    with pytest.raises(StickError, match="damaged beyond repair"):
        filesystem.check(volume)


@pytest.mark.parametrize("volume", ["ntfs"], indirect=True)
def test_a_stick_that_a_sleeping_windows_has_in_use_is_left_to_it(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "memory").write_bytes(b"hibr" + bytes(8192))
    subprocess.run(["ntfscp", "--force", volume.node, tmp_path / "memory", "hiberfil.sys"], check=True)
    before = volume.node.read_bytes()
    with pytest.raises(StickError, match="a Windows that sleeps still has image"):
        filesystem.check(volume)
    assert volume.node.read_bytes() == before


def test_a_check_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "fsck.vfat"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(StickError, match="did not get through"):
        filesystem.check(Volume(tmp_path / "image", 0, "vfat"), limit_s=0.2)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StickError, match=r"fsck\.exfat cannot be run"):
        filesystem.check(Volume(tmp_path / "image", 0, "exfat"))


@linux
@root
def test_nothing_on_a_mounted_stick_can_act(tmp_path: Path) -> None:
    mounts.mount(Path("none"), tmp_path, "tmpfs", "size=64k")
    try:
        [line] = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(tmp_path) in line]
        assert {"nosuid", "nodev", "noexec", "noatime", "nosymfollow"} <= set(line.split()[5].split(","))
        number = tuple(map(int, line.split()[2].split(":")))
        assert number in mounts.numbers_in_use()
    finally:
        mounts.unmount(tmp_path)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@linux
@root
@pytest.mark.skipif(not Path("/dev/loop-control").exists(), reason="needs loop devices")
def test_what_is_sound_can_be_written_to(volume: Volume) -> None:
    driver = filesystem._KINDS[volume.filesystem].driver
    if driver not in Path("/proc/filesystems").read_text().split():
        pytest.skip(f"this kernel knows no {driver} now")
    attached = subprocess.run(
        ["losetup", "--find", "--show", volume.node], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        stick = dataclasses.replace(volume, node=Path(attached))
        with filesystem.mounted(stick) as place:
            (place / "clip.mp4").write_bytes(b"film")
        with filesystem.mounted(stick) as place:
            assert (place / "clip.mp4").read_bytes() == b"film"
    finally:
        subprocess.run(["losetup", "--detach", attached], check=True)


@linux
@root
def test_what_is_not_a_file_system_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "image").touch()
    with (
        pytest.raises(StickError, match="cannot be mounted"),
        filesystem.mounted(Volume(tmp_path / "image", 0, "vfat")),
    ):
        pytest.fail("it was mounted")


def test_what_fsck_made_of_a_copy_that_was_cut_short_goes(tmp_path: Path) -> None:
    for name, content in (
        ("FSCK0000.REC", BRAND + b"the rest"),
        ("FSCK0001.REC", b"somebody's letter"),
        ("FSCK0003.REC", bytes(600) + b"what came after what was never written"),
        ("clip.mp4", BRAND),
    ):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "FSCK0002.REC").mkdir()
    filesystem._drop_salvaged(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FSCK0001.REC", "FSCK0002.REC", "clip.mp4"]
