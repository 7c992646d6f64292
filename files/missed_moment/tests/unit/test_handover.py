"""Handing over: what is copied, what is believed, and what a stick may do to us."""

import errno
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.errors import ExportError
from missed_moment.export import directory, gallery, sums
from missed_moment.export.directory import Directory, opened
from missed_moment.export.handover import FOLDER, HandOver, Progress
from rig import store_moment


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    for _ in range(3):
        store_moment(tmp_path / "clips", seconds=1)
    return Catalogue(tmp_path / "clips", LocalDisk())


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    (tmp_path / "stick").mkdir()
    return tmp_path / "stick"


def on_stick(stick: Path) -> list[str]:
    return sorted(path.name for path in (stick / FOLDER).iterdir())


def exported(catalogue: Catalogue) -> list[bool]:
    return [moment.exported is not None for moment in catalogue.moments()]


CLIPS = ["moment-000001.mp4", "moment-000002.mp4", "moment-000003.mp4"]
BESIDE = ["SHA256SUMS", "health.txt", "index.html", "moments.jsonl"]
ALL = sorted([*BESIDE, *CLIPS, *(clip.replace(".mp4", ".jpg") for clip in CLIPS)])


def test_everything_is_copied_verified_and_marked(catalogue: Catalogue, stick: Path) -> None:
    progress: list[Progress] = []
    report = HandOver(catalogue, stick, on_progress=progress.append).run()
    assert report.copied == CLIPS
    assert on_stick(stick) == ALL
    assert exported(catalogue) == [True] * 3
    assert progress[-1].done == progress[-1].total == report.size
    for moment in catalogue.moments():
        copy = (stick / FOLDER / f"{moment.path.name}.mp4").read_bytes()
        assert copy == moment.clip.read_bytes()
        assert moment.exported is not None
        assert moment.exported.sha256 == hashlib.sha256(copy).hexdigest()


def test_sha256sum_agrees(catalogue: Catalogue, stick: Path) -> None:
    HandOver(catalogue, stick).run()
    command = ["sha256sum", "-c", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=stick / FOLDER, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == 3


def test_the_second_time_only_what_is_missing_is_copied(catalogue: Catalogue, stick: Path) -> None:
    HandOver(catalogue, stick).run()
    (stick / FOLDER / "moment-000002.mp4").unlink()
    store_moment(catalogue.root, seconds=1)
    report = HandOver(catalogue, stick).run()
    assert report.copied == ["moment-000002.mp4", "moment-000004.mp4"]
    assert report.already_there == 2


def test_another_stick_gets_everything(catalogue: Catalogue, stick: Path, tmp_path: Path) -> None:
    HandOver(catalogue, stick).run()
    (tmp_path / "other").mkdir()
    assert len(HandOver(catalogue, tmp_path / "other").run().copied) == 3


def test_another_devices_clip_of_the_same_name_is_left_alone(catalogue: Catalogue, stick: Path) -> None:
    (stick / FOLDER).mkdir()
    (stick / FOLDER / "moment-000001.mp4").write_text("somebody else's")
    HandOver(catalogue, stick).run()
    assert (stick / FOLDER / "moment-000001.mp4").read_text() == "somebody else's"
    copy = (stick / FOLDER / "moment-000001-2.mp4").read_bytes()
    assert copy == catalogue.moments()[0].clip.read_bytes()
    assert HandOver(catalogue, stick).run().copied == []


def test_power_lost_between_copy_and_mark_does_not_make_a_second_copy(catalogue: Catalogue, stick: Path) -> None:
    HandOver(catalogue, stick).run()
    for moment in catalogue.moments():
        (moment.path / "exported.json").unlink()
    HandOver(catalogue, stick).run()
    assert on_stick(stick) == ALL
    assert exported(catalogue) == [True] * 3


@pytest.mark.parametrize("instant", range(24))
def test_pulled_at_any_instant_the_next_time_completes_it(
    catalogue: Catalogue, stick: Path, instant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that changes the stick fails from the `instant`-th on; then the stick comes back."""
    left = [instant]
    with monkeypatch.context() as patch:
        for name in ("write", "rename"):

            def pulled(*arguments: object, call: object = getattr(Directory, name)) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return call(*arguments)

            patch.setattr(Directory, name, pulled)
        report = HandOver(catalogue, stick).run()
    assert len(report.failed) == 1
    for name in on_stick(stick):  # whatever has a clip's name is a whole clip
        if name.endswith(".mp4"):
            assert (stick / FOLDER / name).read_bytes() == (catalogue.root / name[:-4] / "clip.mp4").read_bytes()
    HandOver(catalogue, stick).run()
    assert on_stick(stick) == ALL
    assert exported(catalogue) == [True] * 3
    assert len(gallery.parse((stick / FOLDER / gallery.NOTES).read_bytes())) == 3


def test_a_stick_that_gives_back_something_else_is_not_believed(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake stick: it takes everything, and answers with zeros."""
    write = Directory.write

    def forgetful(self: Directory, name: str, chunks: object) -> None:
        write(self, name, iter([bytes(len(b"".join(chunks)))]))

    monkeypatch.setattr(Directory, "write", forgetful)
    report = HandOver(catalogue, stick).run()
    assert "do not trust this stick" in report.failed[0]
    assert on_stick(stick) == []
    assert exported(catalogue) == [False] * 3


def test_reading_back_does_not_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When `digest` begins to read, the kernel holds no page of the file (fincore is util-linux's witness)."""
    fincore = ["fincore", "--noheadings", "--output", "PAGES", str(tmp_path / "d" / "file")]
    cached: list[str] = []

    def read(_: int) -> str:
        cached.append(subprocess.run(fincore, capture_output=True, text=True, check=True).stdout.strip())
        return ""

    monkeypatch.setattr(directory, "sha256", read)
    with opened(tmp_path, "d") as folder:
        folder.write("file", iter([os.urandom(4 * 1024 * 1024)]))
        read(0)
        folder.digest("file")
    assert int(cached[0]) > 0
    assert cached[1] == "0"


def test_a_full_stick_takes_what_fits_oldest_first(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 4 * 1024 * 1024 + 100 + sum(moment.size for moment in catalogue.moments()[:2])

    def free(self: Directory) -> int:
        return room - sum(path.stat().st_size for path in self.path.glob("*.mp4"))

    monkeypatch.setattr(Directory, "free", free)
    report = HandOver(catalogue, stick).run()
    assert report.copied == ["moment-000001.mp4", "moment-000002.mp4"]
    assert "the stick is full" in report.failed[0]
    assert exported(catalogue) == [True, True, False]


def test_a_moment_deleted_meanwhile_does_not_stop_the_others(catalogue: Catalogue, stick: Path) -> None:
    def delete(progress: Progress) -> None:
        if progress.name == "moment-000001.mp4":
            catalogue.remove(catalogue.moments()[1])

    report = HandOver(catalogue, stick, on_progress=delete).run()
    assert report.copied == ["moment-000001.mp4", "moment-000003.mp4"]
    assert len(report.failed) == 1


def test_a_stick_that_cannot_be_read_is_one_clear_error(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Directory, "read", dying)
    with pytest.raises(ExportError, match="use another stick"):
        HandOver(catalogue, stick).run()


def test_a_copy_that_cannot_be_noted_is_told(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Catalogue, "mark_exported", refuse)
    report = HandOver(catalogue, stick).run()
    assert "copied and verified, but that cannot be noted" in report.failed[0]


@pytest.mark.parametrize("trap", ["file", "link to a directory", "dangling link"])
def test_a_folder_that_is_none_is_refused_and_nothing_is_written_elsewhere(
    catalogue: Catalogue, stick: Path, tmp_path: Path, trap: str
) -> None:
    (tmp_path / "etc").mkdir()
    match trap:
        case "file":
            (stick / FOLDER).write_text("")
        case "link to a directory":
            (stick / FOLDER).symlink_to(tmp_path / "etc")
        case _:
            (stick / FOLDER).symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="a file or link of that name"):
        HandOver(catalogue, stick).run()
    assert list((tmp_path / "etc").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_links_in_place_of_files_are_not_followed(catalogue: Catalogue, stick: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (stick / FOLDER).mkdir()
    for name in [*ALL, *(f"{name}.part" for name in ALL)]:
        (stick / FOLDER / name).symlink_to(precious)
    report = HandOver(catalogue, stick).run()
    assert precious.read_text() == "precious"
    assert report.copied == ["moment-000001-2.mp4", "moment-000002-2.mp4", "moment-000003-2.mp4"]


names = st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="/\\"), min_size=1, max_size=40)


@given(st.dictionaries(names, st.from_regex(r"[0-9a-f]{64}", fullmatch=True)))
def test_sums_read_back_what_they_wrote(known: dict[str, str]) -> None:
    assert sums.parse(sums.render(known)) == known


@given(st.binary(max_size=400))
def test_any_bytes_may_stand_in_sums(data: bytes) -> None:
    for name, digest in sums.parse(data).items():
        assert "/" not in name
        assert len(digest) == 64


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "a\\b", "a\x00b", ""])
def test_names_with_paths_in_them_are_passed_over(name: str) -> None:
    assert sums.parse(f"{'0' * 64} *{name}\n".encode()) == {}
