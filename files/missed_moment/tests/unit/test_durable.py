"""The discipline of writing: every byte, in order, and names last."""

import errno
import os
from pathlib import Path

import pytest

from missed_moment.durable import LocalDisk, SequentialFile, move_directory, replace_file
from rig import FailingDisk, HookedDisk


class StutteringDisk(LocalDisk):
    """Takes a few bytes at a time, as a device under pressure may."""

    def writev(self, descriptor: int, buffers: list[bytes]) -> int:
        return os.write(descriptor, b"".join(buffers)[:7])


@pytest.mark.parametrize("disk", [LocalDisk(), StutteringDisk()], ids=["local", "stuttering"])
def test_every_byte_arrives_in_order(tmp_path: Path, disk: LocalDisk) -> None:
    buffers = [bytes([number % 251]) * (number % 5) for number in range(3000)]  # more than one writev takes
    file = SequentialFile.create(disk, tmp_path / "file")
    file.write(buffers)
    file.write([b"end"])
    assert file.position == (tmp_path / "file").stat().st_size
    file.close()
    assert (tmp_path / "file").read_bytes() == b"".join(buffers) + b"end"


def test_a_file_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(FileExistsError):
        SequentialFile.create(LocalDisk(), tmp_path / "file")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic"):
        LocalDisk().open(tmp_path / "link")


def test_replacing_syncs_the_data_before_the_name_and_the_name_after(tmp_path: Path) -> None:
    calls: list[str] = []
    (tmp_path / "file").write_text("old")
    (tmp_path / "file.part").write_text("left over from a power cut")
    replace_file(HookedDisk(lambda name, _: calls.append(name)), tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == "new"
    assert calls == ["remove", "create", "writev", "sync", "close", "rename", "sync_directory"]


@pytest.mark.parametrize("call", ["create", "writev", "sync", "rename"])
def test_where_replacing_fails_the_old_content_stays(tmp_path: Path, call: str) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="injected"):
        replace_file(FailingDisk(call, errno.EIO), tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_what_root_writes_belongs_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    replace_file(LocalDisk(), tmp_path / "file", b"new")
    assert ((tmp_path / "file").stat().st_uid, (tmp_path / "file").stat().st_gid) == (65534, 65534)


def test_moving_a_directory_makes_both_names_durable(tmp_path: Path) -> None:
    (tmp_path / "a" / "one").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    synced: list[Path] = []
    disk = HookedDisk(lambda name, arguments: synced.append(arguments[0]) if name == "sync_directory" else None)
    move_directory(disk, tmp_path / "a" / "one", tmp_path / "b" / "two")
    assert synced == [tmp_path / "b", tmp_path / "a"]
    assert (tmp_path / "b" / "two").is_dir()


def test_a_disk_that_nobody_may_write_to_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = os.statvfs(tmp_path)
    assert LocalDisk().free(tmp_path) == there.f_bavail * there.f_frsize
    values = [*there[:8], there.f_flag | os.ST_RDONLY, there.f_namemax]
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
    with pytest.raises(OSError, match="Read-only"):
        LocalDisk().free(tmp_path)
