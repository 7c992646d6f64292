"""Checking and mounting, with the real programs and the real kernel as far as this machine has them."""

import dataclasses
import errno
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

import pytest

from missed_moment.errors import StickError, StickPulledError
from missed_moment.export import filesystem, mounts, salvaged
from missed_moment.export.admission import Volume
from missed_moment.export.pulled import Pulled

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
    filesystem.check(volume, Pulled())
    after = volume.node.read_bytes()
    # ext4's superblock, its second kilobyte, says when it was looked at.
    begin, end = (1024, 2048) if volume.filesystem == "ext4" else (0, 0)
    assert after[:begin] + after[end:] == before[:begin] + before[end:]


@pytest.mark.parametrize("volume", DIRTY, indirect=True)
def test_what_was_pulled_while_it_was_written_to_is_repaired(volume: Volume) -> None:
    damage(volume, *DIRTY[volume.filesystem])
    filesystem.check(volume, Pulled())
    filesystem.check(volume, Pulled())


def test_what_cannot_be_repaired_is_refused(volume: Volume) -> None:
    damage(volume, 0, b"\xff" * MEGABYTE)
    with pytest.raises(StickError, match="damaged beyond repair"):
        filesystem.check(volume, Pulled())


@pytest.mark.parametrize("volume", ["ntfs"], indirect=True)
def test_a_stick_that_a_sleeping_windows_has_in_use_is_left_to_it(volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "memory").write_bytes(b"hibr" + bytes(8192))
    subprocess.run(["ntfscp", "--force", volume.node, tmp_path / "memory", "hiberfil.sys"], check=True)
    before = volume.node.read_bytes()
    with pytest.raises(StickError, match="a Windows that sleeps still has image"):
        filesystem.check(volume, Pulled())
    assert volume.node.read_bytes() == before


def test_a_check_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "fsck.vfat"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(StickError, match="did not get through"):
        filesystem.check(Volume(tmp_path / "image", 0, "vfat"), Pulled(), limit_s=0.2)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StickError, match=r"fsck\.exfat cannot be run"):
        filesystem.check(Volume(tmp_path / "image", 0, "exfat"), Pulled())


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


@linux
@root
def test_only_rmdir_ever_removes_a_mount_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stick cannot be unmounted: its mount point stays, and so does all that is on it."""
    mounts.mount(Path("none"), tmp_path, "tmpfs", "size=64k")
    try:
        (tmp_path / "letter.txt").write_text("Dear Sir,")
        refuse = OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: str(tmp_path))
        monkeypatch.setattr(filesystem.mounts, "mount", lambda *_: None)
        monkeypatch.setattr(filesystem.mounts, "unmount", Mock(side_effect=refuse))
        monkeypatch.setattr(filesystem.mounts, "detach", lambda _: None)
        with (
            pytest.raises(StickError, match="cannot be unmounted"),
            filesystem.mounted(Volume(tmp_path / "image", 0, "vfat")),
        ):
            pass
        assert (tmp_path / "letter.txt").read_text() == "Dear Sir,"
    finally:
        monkeypatch.undo()
        mounts.unmount(tmp_path)


def test_a_check_is_ended_when_the_stick_is_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless, pulled = tmp_path / "fsck.exfat", Pulled()
    endless.write_text("#!/bin/sh\necho begun\nexec sleep 600\n")
    endless.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    threading.Timer(0.3, pulled.set).start()
    with pytest.raises(StickPulledError):
        filesystem.check(Volume(tmp_path / "image", 0, "exfat"), pulled)


def test_a_check_that_prints_without_end_is_read_and_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chatty = tmp_path / "fsck.exfat"
    chatty.write_text("#!/bin/sh\nhead -c 4000000 /dev/zero | tr '\\\\0' x\n")
    chatty.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    caplog.set_level("INFO")
    filesystem.check(Volume(tmp_path / "image", 0, "exfat"), Pulled())
    assert "exit code 0" in caplog.text
    assert len(caplog.text) < 100_000


@linux
@root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
def test_a_check_has_no_capability_and_the_exporter_keeps_its_own(tmp_path: Path) -> None:
    """The exporter has CAP_SYS_ADMIN as an ambient capability, as systemd gives it; fsck must not inherit it."""
    program = tmp_path / "fsck.exfat"
    program.write_text(f"#!/bin/sh\ngrep Cap /proc/self/status > {tmp_path}/check\n")
    program.chmod(0o755)
    exporter = (
        "from pathlib import Path\n"
        "from missed_moment.export import filesystem\n"
        "from missed_moment.export.pulled import Pulled\n"
        "print(Path('/proc/self/status').read_text())\n"
        f"filesystem._run(({str(program)!r},), Pulled(), 60)\n"
        "print(Path('/proc/self/status').read_text())\n"
    )
    given = ["setpriv", "--inh-caps=-all,+sys_admin", "--ambient-caps=+sys_admin", "--bounding-set=-all,+sys_admin"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [*given, sys.executable, "-c", exporter], env=environment, capture_output=True, text=True, check=True
    )
    ambient = [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("CapAmb")]
    effective = [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("CapEff")]
    assert [int(mask, 16) for mask in ambient] == [1 << 21, 0]
    assert [int(mask, 16) for mask in effective] == [1 << 21, 1 << 21]
    check = dict(line.split() for line in (tmp_path / "check").read_text().splitlines())
    assert int(check["CapAmb:"], 16) == 0


SALVAGED = pytest.mark.skipif(not shutil.which("fsck.vfat"), reason="needs fsck.vfat")


@SALVAGED
def test_a_repair_tells_which_salvaged_files_were_there_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * MEGABYTE)
    subprocess.run([*MAKE["vfat"], image], check=True, capture_output=True)
    volume, looked = Volume(image, 64 * MEGABYTE, "vfat"), []

    @contextmanager
    def mounted(_: Volume, read_only: bool = False) -> Iterator[Path]:
        looked.append(read_only)
        yield tmp_path

    monkeypatch.setattr(filesystem, "mounted", mounted)
    (tmp_path / "FSCK0000.REC").write_text("somebody's letter")
    assert filesystem.check(volume, Pulled()) is salvaged.ALL  # nothing was repaired, so nothing was salvaged
    assert looked == []
    damage(volume, *DIRTY["vfat"])
    assert filesystem.check(volume, Pulled()) == {"FSCK0000.REC"}
    assert looked == [True]


@SALVAGED
def test_clusters_of_no_file_become_files_of_the_name_that_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a pull leaves of a copy: a chain in the FAT that no directory names."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * MEGABYTE)
    subprocess.run([*MAKE["vfat"], image], check=True, capture_output=True)
    head = image.read_bytes()[:512]
    reserved, fats = struct.unpack_from("<HB", head, 14)
    (sectors,) = struct.unpack_from("<I", head, 36)
    for number in range(fats):
        damage_at = (reserved + number * sectors) * 512 + 3 * 4
        with image.open("r+b") as file:
            file.seek(damage_at)
            file.write(struct.pack("<3I", 4, 5, 0x0FFFFFFF))
    monkeypatch.setattr(filesystem, "_salvaged_before", lambda _: frozenset())
    assert filesystem.check(Volume(image, 64 * MEGABYTE, "vfat"), Pulled()) == frozenset()
    root = image.read_bytes()[(reserved + fats * sectors) * 512 :][:512]
    assert b"FSCK0000REC" in root
    assert salvaged._NAME.fullmatch("FSCK0000.REC")


def test_where_it_cannot_be_known_what_was_there_nothing_counts_as_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StickError("cannot be mounted")

    monkeypatch.setattr(filesystem, "mounted", fail)
    assert filesystem._salvaged_before(Volume(tmp_path, 0, "vfat")) is salvaged.ALL


def blank(kind: str, image: Path) -> Volume:
    """Make an empty file system with clusters of 512 bytes (vfat) or 4 KiB (exfat)."""
    if not shutil.which(MAKE[kind][0]):
        pytest.skip(f"needs {MAKE[kind][0]}")
    with image.open("wb") as file:
        file.truncate(64 * MEGABYTE)
    more = {"vfat": ["-s", "1"], "exfat": ["-c", "4096"]}[kind]
    subprocess.run([*MAKE[kind], *more, image], check=True, capture_output=True)
    return Volume(image, 64 * MEGABYTE, kind)


def fat_entry(name: bytes, attributes: int, cluster: int, size: int) -> bytes:
    return struct.pack("<11sB14xHI", name, attributes, cluster, size)


def our_folder(cluster: int) -> bytes:
    """Name a directory "missed-moment" on vfat: one entry for its long name, and one for its short name."""
    short, total = b"MISSED~1   ", 0
    for byte in short:
        total = ((total >> 1) + ((total & 1) << 7) + byte) & 0xFF
    name = "missed-moment".encode("utf-16-le")
    long = struct.pack("<B10sBBB12sH4s", 0x41, name[:10], 0x0F, 0, total, name[10:22], 0, name[22:] + bytes(2))
    return long + fat_entry(short, 0x10, cluster, 0)


def fat_layout(volume: Volume) -> tuple[list[int], int]:
    """Return where the FATs begin, and where the root directory does: in cluster 2."""
    head = volume.node.read_bytes()[:512]
    reserved, fats, sectors = *struct.unpack_from("<HB", head, 14), *struct.unpack_from("<I", head, 36)
    return [512 * (reserved + number * sectors) for number in range(fats)], 512 * (reserved + fats * sectors)


def refused_and_left_alone(volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "_salvaged_before", lambda _: frozenset())
    before = volume.node.read_bytes()
    with pytest.raises(StickError, match="repair the stick on a computer"):
        filesystem.check(volume, Pulled())
    assert volume.node.read_bytes() == before


def test_a_repair_that_could_cut_a_file_of_the_owner_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry of the first FAT was lost, the second FAT is whole: fsck.vfat -a would copy the damage over it."""
    volume = blank("vfat", tmp_path / "image")
    fats, top = fat_layout(volume)
    for fat in fats:
        damage(volume, fat + 3 * 4, struct.pack("<3I", 4, 5, 0x0FFFFFFF))
    damage(volume, top, fat_entry(b"THESIS  DOC", 0x20, 3, 3 * 512))
    filesystem.check(volume, Pulled())
    damage(volume, fats[0] + 4 * 4, bytes(4))
    refused_and_left_alone(volume, monkeypatch)


@pytest.mark.parametrize(
    ("output", "owners"),
    [
        (b"/THESIS.DOC\n  Contains a free cluster (4). Assuming EOF.\n", True),
        (b"/missed-moment/moment-000001.mp4.part\n  File size is 9 bytes\n", False),
        (b"/missed-moment/a.mp4  and\n/Photos/b.jpg\n  share clusters.\n", True),
        (b"/missed-moment  and\n/Missed-Moment/a.mp4\n  share clusters.\n", False),
        (b"/missed-moment (copy)/a.mp4\n  File size is 9 bytes\n", True),
        (b"/missed-moment.zip\n  File size is 9 bytes\n", True),
        (b"/\n  Start cluster beyond limit\n", True),
        (b"ERROR: /missed-moment: the checksum of a file is wrong at 0x203060. Delete (y/N)? n\n", False),
        (b"ERROR: /: the checksum of a file is wrong at 0x203060. Delete (y/N)? n\n", True),
        (b"ERROR: /missed-moment 2: size 0x9, but the first cluster 0x1 at 0x203060.\n", True),
        (b"Reclaimed 3 unused clusters (1536 bytes) in 1 chain.\n/dev/sda1: 1 files, 4/5 clusters\n", False),
        (b"/missed-moment/a.mp4\n" * 1000, True),
    ],
)
def test_damaged_files_outside_our_directory_are_the_owner_s(output: bytes, owners: bool) -> None:
    volume = Volume(Path("/dev/sda1"), 0, "vfat")
    assert filesystem._costs_owner(output[-filesystem._OUTPUT_BYTES :], volume) is owners


def test_a_copy_of_ours_that_was_cut_short_is_repaired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pull leaves a part with more length than clusters; nothing else on the stick is damaged."""
    volume = blank("vfat", tmp_path / "image")
    fats, top = fat_layout(volume)
    for fat in fats:
        damage(volume, fat + 3 * 4, struct.pack("<2I", 0x0FFFFFFF, 0x0FFFFFFF))
    damage(volume, top, our_folder(3))
    dots = fat_entry(b".          ", 0x10, 3, 0) + fat_entry(b"..         ", 0x10, 0, 0)
    damage(volume, top + 512, dots + fat_entry(b"MOMENT~1PAR", 0x20, 4, 5 * 512))
    monkeypatch.setattr(filesystem, "_salvaged_before", lambda _: frozenset())
    filesystem.check(volume, Pulled())
    size_at = top + 512 + 2 * 32 + 28
    assert struct.unpack("<I", volume.node.read_bytes()[size_at:][:4]) == (512,)


def test_one_flipped_bit_does_not_delete_a_directory_of_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exFAT entry with a wrong checksum: fsck.exfat -p deletes it, with all that it holds."""
    volume = blank("exfat", tmp_path / "image")
    head = volume.node.read_bytes()[:512]
    heap, root = struct.unpack_from("<I", head, 88)[0], struct.unpack_from("<I", head, 96)[0]
    at = (heap << head[108]) + ((root - 2) << head[108] << head[109])
    while volume.node.read_bytes()[at]:
        at += 32
    name = "photos".encode("utf-16-le")
    stream = struct.pack("<BBBBHHQIIQ", 0xC0, 3, 0, 6, 0, 0, 4096, 0, 100, 4096)
    entry = struct.pack("<BBHH26x", 0x85, 2, 0xBAD, 0x10) + stream + struct.pack("<BB30s", 0xC1, 0, name)
    damage(volume, at, entry)
    refused_and_left_alone(volume, monkeypatch)
