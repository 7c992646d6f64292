"""Files that fsck.vfat salvaged: only what is provably the beginning of a kept clip is removed."""

import os
from pathlib import Path

import pytest

from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.mp4 import BRAND
from missed_moment.durable import LocalDisk
from missed_moment.export import salvaged
from missed_moment.export.pulled import Pulled
from rig import store_moment

NONE: frozenset[str] = frozenset()


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    for _ in range(2):
        store_moment(tmp_path / "clips", seconds=1)
    return Catalogue(tmp_path / "clips", LocalDisk())


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


def left_of(stick: Path, catalogue: Catalogue, before: frozenset[str] = NONE) -> list[str]:
    salvaged.remove_ours(stick, before, catalogue, Pulled())
    return sorted(path.name for path in stick.iterdir())


@pytest.mark.parametrize("length", [512, 4096, 20_000, None])
@pytest.mark.parametrize("slack", [0, 3000])
def test_a_copy_that_was_cut_short_goes(length: int | None, slack: int, stick: Path, catalogue: Catalogue) -> None:
    clip = catalogue.moments()[1].clip.read_bytes()
    (stick / "FSCK0000.REC").write_bytes(clip[:length] + (bytes(slack) if length is None else b""))
    assert left_of(stick, catalogue) == []


@pytest.mark.parametrize("holes", [(0,), (4096,), (0, 4096, 8192)])
def test_one_of_which_not_everything_was_written_goes(
    holes: tuple[int, ...], stick: Path, catalogue: Catalogue
) -> None:
    """The FAT was written, and not yet all that belongs into its clusters."""
    content = bytearray(catalogue.moments()[1].clip.read_bytes()[:20_000])
    for at in holes:
        content[at : at + 4096] = bytes(4096)
    (stick / "FSCK0000.REC").write_bytes(content)
    (stick / "FSCK0001.REC").write_bytes(bytes(4096))
    assert left_of(stick, catalogue) == []


def test_the_owners_lost_files_stay(stick: Path, catalogue: Catalogue) -> None:
    clip = catalogue.moments()[0].clip.read_bytes()
    kept = {
        "FSCK0000.REC": b"somebody's letter",
        "FSCK0001.REC": bytes(32768) + b"CD001 an ISO image begins with 32 KiB of nothing",
        "FSCK0002.REC": bytes(len(clip) + (2 << 20)),
        "FSCK0003.REC": BRAND + b"a clip that the device does not hold any longer",
        "FSCK0004.REC": clip + b"and more",
        "FSCK0007.REC": clip + bytes(200_000) + b"and more, further on",
        "FSCK0005.REC": clip[:-1] + bytes([clip[-1] ^ 1]),
        "FSCK0006.REC": b"",
        "FSCKOLD.REC": clip,
        "clip.mp4": clip,
    }
    for name, content in kept.items():
        (stick / name).write_bytes(content)
    assert left_of(stick, catalogue) == sorted(kept)


def test_what_was_there_before_the_check_stays(stick: Path, catalogue: Catalogue) -> None:
    for name in ("FSCK0000.REC", "FSCK0001.REC"):
        (stick / name).write_bytes(catalogue.moments()[0].clip.read_bytes())
    assert left_of(stick, catalogue, salvaged.ALL) == ["FSCK0000.REC", "FSCK0001.REC"]
    assert left_of(stick, catalogue, frozenset({"FSCK0000.REC"})) == ["FSCK0000.REC"]


def test_what_is_no_file_neither_hangs_nor_goes(stick: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    clip = catalogue.moments()[0].clip
    os.mkfifo(stick / "FSCK0000.REC")
    (stick / "FSCK0001.REC").symlink_to(clip)
    (stick / "FSCK0002.REC").mkdir()
    assert left_of(stick, catalogue) == ["FSCK0000.REC", "FSCK0001.REC", "FSCK0002.REC"]
    assert clip.exists()
