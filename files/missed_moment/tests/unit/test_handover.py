"""Handing over: what is copied, what is believed, and what a stick may do to us."""

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.clips.catalogue import Catalogue, Moment
from missed_moment.durable import LocalDisk
from missed_moment.errors import ExportError, SourceError, StickPulledError
from missed_moment.export import directory, gallery, sums
from missed_moment.export.directory import Directory
from missed_moment.export.handover import FOLDER, HandOver
from missed_moment.export.page import Page
from missed_moment.export.pulled import Pulled
from missed_moment.export.report import Progress
from missed_moment.export.source import Source
from missed_moment.export.sums import Sums
from rig import FailingDisk, store_moment


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


@pytest.mark.parametrize("call", ["read", "size", "exists", "free", "write", "digest", "rename", "remove"])
def test_a_stick_that_fails_once_at_any_call_loses_nothing(
    call: str, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The `instant`-th of these calls fails, and those before and after it do not; until none is left to fail."""
    kept = {moment.clip.read_bytes() for moment in catalogue.moments()}
    for instant in range(100):
        stick = tmp_path / f"stick{instant}"
        stick.mkdir()
        for moment in catalogue.moments():
            (moment.path / "exported.json").unlink(missing_ok=True)
        left = [instant]

        def failing(*arguments: object, call: object = getattr(Directory, call), left: list[int] = left) -> object:
            left[0] -= 1
            if left[0] == -1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return call(*arguments)

        with monkeypatch.context() as patch, suppress(ExportError):
            patch.setattr(Directory, call, failing)
            HandOver(catalogue, stick).run()
        copies = {path.read_bytes() for path in (stick / FOLDER).glob("*.mp4")}
        assert copies <= kept
        assert sum(exported(catalogue)) <= len(copies)
        if left[0] >= 0:
            return
        HandOver(catalogue, stick).run()
        assert on_stick(stick) == ALL
        assert exported(catalogue) == [True] * 3
    pytest.fail("there is no end to these calls")


def test_a_stick_that_gives_back_something_else_is_not_believed(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fake stick: it takes everything, and answers with zeros."""
    write = Directory.write

    def forgetful(self: Directory, name: str, chunks: object, modified_s: float | None = None) -> None:
        write(self, name, iter([bytes(len(b"".join(chunks)))]), modified_s)

    monkeypatch.setattr(Directory, "write", forgetful)
    report = HandOver(catalogue, stick).run()
    assert "do not trust this stick" in report.failed[0]
    assert [name for name in on_stick(stick) if name.endswith((".mp4", ".part"))] == []
    assert exported(catalogue) == [False] * 3


def test_a_stick_that_wraps_around_is_not_trusted_with_anything(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A counterfeit stick: each file reads back rightly, until a later one is written over the first."""
    rename = Directory.rename

    def wrap(self: Directory, name: str, new: str) -> None:
        rename(self, name, new)
        if new == "moment-000003.mp4":
            content = (self.path / new).read_bytes()
            with (self.path / "moment-000001.mp4").open("r+b") as first:
                first.write(content[:4096])

    monkeypatch.setattr(Directory, "rename", wrap)
    report = HandOver(catalogue, stick).run()
    assert report.copied == []
    assert report.failed == [
        "moment-000001: what the stick gives back is not what was written to it: do not trust this stick"
    ]
    assert exported(catalogue) == [False] * 3
    assert "moment-000001.mp4" not in on_stick(stick)
    assert "moment-000001.mp4" not in (stick / FOLDER / "SHA256SUMS").read_text()
    assert "do not trust this stick" in (stick / FOLDER / "health.txt").read_text()


def overwrite_first_with_fourth(self: Directory, name: str, new: str) -> None:
    """Stand for `Directory.rename` on a stick whose memory ends while the fourth clip is written."""
    (self.path / name).rename(self.path / new)
    if new == "moment-000004.mp4":
        with (self.path / "moment-000001.mp4").open("r+b") as first:
            first.write((self.path / new).read_bytes()[:4096])


def test_a_stick_that_wraps_around_at_a_later_export_loses_what_it_was_trusted_with(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second export overwrites what the first one verified; the device would delete it some day."""
    assert HandOver(catalogue, stick).run().failed == []
    store_moment(catalogue.root, seconds=1)
    monkeypatch.setattr(Directory, "rename", overwrite_first_with_fourth)
    report = HandOver(catalogue, stick).run()
    assert "moment-000001: what the stick gives back is not what was written to it" in report.trouble
    assert (report.copied, report.already_there) == ([], 2)
    assert exported(catalogue) == [False, True, True, False]
    assert "do not trust this stick" in (stick / FOLDER / "health.txt").read_text()
    monkeypatch.undo()
    other = HandOver(catalogue, stick).run()
    assert other.failed == []
    assert "moment-000001-2.mp4" in other.copied
    assert exported(catalogue) == [True] * 4
    store_moment(catalogue.root, seconds=1)
    assert HandOver(catalogue, stick).run().failed == []


def test_an_earlier_copy_that_cannot_be_read_any_longer_counts_as_lost(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HandOver(catalogue, stick).run()
    store_moment(catalogue.root, seconds=1)
    digest = Directory.digest

    def failing(self: Directory, name: str) -> str:
        if name == "moment-000002.mp4":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return digest(self, name)

    monkeypatch.setattr(Directory, "digest", failing)
    report = HandOver(catalogue, stick).run()
    assert "moment-000002: its copy cannot be read back" in report.trouble
    assert report.copied == ["moment-000004.mp4"]
    assert exported(catalogue) == [True, False, True, True]
    assert "moment-000002.mp4" not in (stick / FOLDER / sums.NAME).read_text()


def test_a_store_that_cannot_note_a_lost_copy_is_told(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HandOver(catalogue, stick).run()
    store_moment(catalogue.root, seconds=1)
    monkeypatch.setattr(Directory, "rename", overwrite_first_with_fourth)
    sick = Catalogue(catalogue.root, FailingDisk("remove", errno.EROFS))
    report = HandOver(sick, stick).run()
    told = f"1 no longer whole on this stick, but the clip store {catalogue.root} cannot note that (injected): check"
    assert told in report.trouble


def test_a_stick_that_loses_a_file_is_not_trusted_with_any(catalogue: Catalogue, stick: Path) -> None:
    job = HandOver(catalogue, stick)
    job.copy()
    (stick / FOLDER / "moment-000002.mp4").unlink()
    job.confirm(stick)
    assert "do not trust this stick" in job.report.trouble
    assert exported(catalogue) == [False] * 3


def test_copies_that_can_be_read_back_count_where_another_cannot(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector is no sign of a counterfeit."""
    job, digest = HandOver(catalogue, stick), Directory.digest
    job.copy()

    def failing(self: Directory, name: str) -> str:
        if name == "moment-000002.mp4":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return digest(self, name)

    monkeypatch.setattr(Directory, "digest", failing)
    job.confirm(stick)
    assert "moment-000002: its copy cannot be read back (Input/output error)" in job.report.trouble
    assert exported(catalogue) == [True, False, True]


def test_nothing_is_noted_before_all_is_written_and_read_again(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    for kind, name in ((Directory, "write"), (Directory, "digest"), (Catalogue, "mark_exported")):

        def call(*arguments: object, name: str = name, call: object = getattr(kind, name)) -> object:
            happened.append(name)
            return call(*arguments)

        monkeypatch.setattr(kind, name, call)
    HandOver(catalogue, stick).run()
    assert happened[-6:] == ["digest"] * 3 + ["mark_exported"] * 3
    assert "mark_exported" not in happened[:-3]


def test_reading_back_does_not_come_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When `digest` begins to read, the kernel holds no page of the file (fincore is util-linux's witness)."""
    fincore = ["fincore", "--noheadings", "--output", "PAGES", str(tmp_path / "d" / "file")]
    cached: list[str] = []

    def read(_: int) -> str:
        cached.append(subprocess.run(fincore, capture_output=True, text=True, check=True).stdout.strip())
        return ""

    monkeypatch.setattr(directory, "sha256", read)
    with Directory.create(tmp_path, "d") as folder:
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


def test_a_bad_sector_in_a_copy_that_is_there_costs_no_other_moment(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first copy can never be read again: the next export writes it under another name."""
    job, digest = HandOver(catalogue, stick), Directory.digest
    job.copy()

    def failing(self: Directory, name: str) -> str:
        if name == "moment-000001.mp4":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return digest(self, name)

    monkeypatch.setattr(Directory, "digest", failing)
    job.confirm(stick)
    assert exported(catalogue) == [False, True, True]
    store_moment(catalogue.root, seconds=1)
    report = HandOver(catalogue, stick).run()
    assert report.failed == []
    assert report.copied == ["moment-000001-2.mp4", "moment-000004.mp4"]
    assert exported(catalogue) == [True] * 4


@pytest.mark.parametrize(
    "odd", [{"duration_s": -1.0}, {"start": "0001-01-01T00:00:00Z"}, {"start": "9999-12-31T23:59:59Z"}]
)
def test_a_record_that_cannot_be_true_costs_no_copy(odd: dict[str, object], catalogue: Catalogue, stick: Path) -> None:
    record = catalogue.moments()[0].path / "moment.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"clock_certain": True} | odd))
    for zone in (timezone(timedelta(hours=-5)), timezone(timedelta(hours=5))):
        report = HandOver(catalogue, stick, Page(zone=zone)).run()
        assert report.failed == []
        assert catalogue.moments()[0].file_name(zone).endswith("moment-000001.mp4")
    assert exported(catalogue) == [True] * 3


def test_a_number_that_no_moment_of_ours_has_costs_no_copy(catalogue: Catalogue, stick: Path) -> None:
    odd = catalogue.root / "moment-1000000000"
    odd.mkdir()
    (odd / "clip.mp4").write_bytes(b"x")
    report = HandOver(catalogue, stick).run()
    assert report.failed == []
    assert report.copied == [*CLIPS, "moment-1000000000.mp4"]
    assert "moment-000003.mp4" in (stick / FOLDER / "index.html").read_text()


def test_a_clip_that_is_too_large_for_the_file_system_costs_no_other_moment(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Directory.write

    def limited(self: Directory, name: str, chunks: Iterator[bytes], modified_s: float | None = None) -> None:
        if name.startswith("moment-000001.mp4"):
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        write(self, name, chunks, modified_s)

    monkeypatch.setattr(Directory, "write", limited)
    report = HandOver(catalogue, stick).run()
    assert report.failed == ["moment-000001: File too large"]
    assert exported(catalogue) == [False, True, True]


def test_a_moment_deleted_meanwhile_does_not_stop_the_others(catalogue: Catalogue, stick: Path) -> None:
    def delete(progress: Progress) -> None:
        if progress.name == "moment-000001.mp4":
            catalogue.remove(catalogue.moments()[1])

    report = HandOver(catalogue, stick, on_progress=delete).run()
    assert report.copied == ["moment-000001.mp4", "moment-000003.mp4"]
    assert report.failed == []


def test_a_moment_that_is_kept_meanwhile_is_copied_as_well(catalogue: Catalogue, stick: Path) -> None:
    def keep(progress: Progress) -> None:
        if progress.name == "moment-000003.mp4":
            store_moment(catalogue.root, seconds=1)

    assert HandOver(catalogue, stick, on_progress=keep).run().copied == [*CLIPS, "moment-000004.mp4"]
    assert exported(catalogue) == [True] * 4


def test_a_moment_that_is_finished_while_copies_are_confirmed_is_reported_with_the_others(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark, left = Catalogue.mark_exported, [1]

    def pressed_meanwhile(self: Catalogue, moment: Moment, sha256: str) -> None:
        mark(self, moment, sha256)
        left[0] -= 1
        if left[0] >= 0:
            store_moment(self.root, seconds=1)

    monkeypatch.setattr(Catalogue, "mark_exported", pressed_meanwhile)
    report = HandOver(catalogue, stick).run()
    assert report.copied == [*CLIPS, "moment-000004.mp4"]
    assert report.size == sum(moment.size for moment in catalogue.moments())
    assert exported(catalogue) == [True] * 4


def test_what_wraps_around_while_a_late_moment_is_copied_is_found_too(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = HandOver(catalogue, stick)
    job.copy()
    store_moment(catalogue.root, seconds=1)
    monkeypatch.setattr(Directory, "rename", overwrite_first_with_fourth)
    job.confirm(stick)
    assert exported(catalogue) == [True, True, True, False]
    assert job.unconfirmed
    job.confirm(stick)
    assert exported(catalogue) == [False, True, True, False]
    assert job.report.copied == CLIPS[1:]
    assert "do not trust this stick" in job.report.trouble


def test_a_clip_that_cannot_be_read_stops_no_other(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store's disk fails at one clip; that is told, and nothing is said against the stick."""
    broken = (catalogue.root / "moment-000002" / "clip.mp4").stat().st_ino
    read = os.read

    def failing(descriptor: int, size: int) -> bytes:
        if os.fstat(descriptor).st_ino == broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", failing)
    report = HandOver(catalogue, stick).run()
    monkeypatch.undo()
    assert report.copied == ["moment-000001.mp4", "moment-000003.mp4"]
    clip = catalogue.root / "moment-000002" / "clip.mp4"
    assert report.failed == [f"{clip} cannot be read (Input/output error): check the disk of the store"]
    assert exported(catalogue) == [True, False, True]
    assert "clip.mp4 cannot be read" in (stick / FOLDER / "health.txt").read_text()
    assert "moment-000003.mp4" in (stick / FOLDER / "index.html").read_text()
    assert not [name for name in on_stick(stick) if name.endswith(".part")]


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC, errno.EIO])
def test_a_store_that_cannot_note_anything_is_copied_all_the_same(
    catalogue: Catalogue, stick: Path, error: int
) -> None:
    sick = Catalogue(catalogue.root, FailingDisk("create", error))
    report = HandOver(sick, stick).run()
    assert report.copied == CLIPS
    assert on_stick(stick) == ALL
    assert len(report.failed) == 1
    assert f"the clip store {catalogue.root} cannot note that (injected)" in report.failed[0]
    assert "the stick is full" not in report.trouble
    assert HandOver(catalogue, stick).run().failed == []
    assert exported(catalogue) == [True] * 3


def test_a_moment_whose_inode_cannot_be_read_is_told_and_stops_no_other(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def failing(self: Path, **more: bool) -> os.stat_result:
        if self == catalogue.root / "moment-000002" / "clip.mp4":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return stat(self, **more)

    monkeypatch.setattr(Path, "stat", failing)
    report = HandOver(catalogue, stick).run()
    assert report.copied == ["moment-000001.mp4", "moment-000003.mp4"]
    assert "moment-000002" in report.trouble
    assert "check the disk of the store" in report.trouble


def test_without_a_store_the_page_and_health_are_written(tmp_path: Path, stick: Path) -> None:
    report = HandOver(Catalogue(tmp_path / "data" / "clips", LocalDisk()), stick).run()
    assert "the clip store cannot be read (No such file or directory" in report.trouble
    assert "the clip store cannot be read" in (stick / FOLDER / "health.txt").read_text()
    assert (stick / FOLDER / "index.html").exists()


@pytest.mark.parametrize("name", ["clip.mp4", "thumbnail.jpg", "moment.json"])
@pytest.mark.parametrize("trap", ["link", "FIFO"])
def test_nothing_but_files_of_the_store_reaches_a_stick(
    catalogue: Catalogue, stick: Path, tmp_path: Path, name: str, trap: str
) -> None:
    """An operator may write to the store; root may run the export."""
    (tmp_path / "shadow").write_bytes(b"root:secret" * 1000)
    path = catalogue.root / "moment-000002" / name
    path.unlink()
    if trap == "link":
        path.symlink_to(tmp_path / "shadow")
    else:
        os.mkfifo(path)
    report = HandOver(catalogue, stick).run()
    for copy in (stick / FOLDER).iterdir():
        assert b"secret" not in copy.read_bytes()
    assert ("moment-000002.mp4" in report.copied) == (name != "clip.mp4")
    assert ("is not copied" in report.trouble) == (name == "clip.mp4")


def test_the_directory_of_a_moment_is_no_link_either(catalogue: Catalogue, tmp_path: Path) -> None:
    """It becomes one after the store was listed."""
    moment = catalogue.moments()[1]
    moment.path.rename(tmp_path / "elsewhere")
    moment.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="is not copied"), Source(catalogue.root, moment):
        pytest.fail("it was opened")


def test_another_moment_under_an_old_name_has_its_own_picture_and_date(
    catalogue: Catalogue, stick: Path, tmp_path: Path
) -> None:
    """The clip was deleted by hand and the card flashed anew: the names begin again, the page does not."""
    HandOver(catalogue, stick).run()
    for number in (1, 2, 3):
        (stick / FOLDER / f"moment-{number:06}.mp4").unlink()
    for _ in range(4):
        store_moment(tmp_path / "flashed", seconds=1)
    flashed = Catalogue(tmp_path / "flashed", LocalDisk())
    for moment in flashed.moments()[:3]:
        flashed.remove(moment)
    (flashed.root / "moment-000004").rename(flashed.root / "moment-000001")
    [moment] = flashed.moments()
    flashed.write_info(moment.path, moment.info().model_copy(update={"sequence": 1, "device": "new"}))
    HandOver(flashed, stick).run()
    thumbnail = (moment.path / "thumbnail.jpg").read_bytes()
    assert thumbnail != (catalogue.root / "moment-000001" / "thumbnail.jpg").read_bytes()
    assert (stick / FOLDER / "moment-000001.jpg").read_bytes() == thumbnail
    notes = gallery.parse((stick / FOLDER / gallery.NOTES).read_bytes())
    assert {name: note.device for name, note in notes.items()} == {"moment-000001.mp4": "new"}


def test_a_moment_that_is_dated_later_is_dated_on_the_page(catalogue: Catalogue, stick: Path) -> None:
    HandOver(catalogue, stick).run()
    moment = catalogue.moments()[0]
    catalogue.write_info(moment.path, moment.info().model_copy(update={"clock_certain": True}))
    HandOver(catalogue, stick).run()
    assert gallery.parse((stick / FOLDER / gallery.NOTES).read_bytes())["moment-000001.mp4"].certain


def test_a_copy_has_the_time_of_its_moment_where_that_is_certain(catalogue: Catalogue, stick: Path) -> None:
    moments = catalogue.moments()
    start = datetime(2026, 11, 24, 17, 3, 9, tzinfo=UTC)
    dated = moments[0].info().model_copy(update={"clock_certain": True, "start": start})
    catalogue.write_info(moments[0].path, dated)
    HandOver(catalogue, stick).run()
    copy = stick / FOLDER / "2026-11-24_17-03-09_moment-000001.mp4"
    assert copy.stat().st_mtime == start.timestamp()
    assert (stick / FOLDER / "moment-000002.mp4").stat().st_mtime != moments[1].info().start.timestamp()


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf"])
def test_sums_that_an_editor_saved_are_read_and_foreign_lines_stay(
    catalogue: Catalogue, stick: Path, head: bytes, end: bytes
) -> None:
    HandOver(catalogue, stick).run()
    file = stick / FOLDER / sums.NAME
    lines = [*file.read_bytes().splitlines(), b"# holiday", b"0" * 64 + b"  films/beach.mp4"]
    file.write_bytes(head + end.join(lines) + end)
    (stick / FOLDER / "moment-000002.mp4").unlink()
    report = HandOver(catalogue, stick).run()
    assert report.copied == ["moment-000002.mp4"]
    text = file.read_text()
    assert "# holiday\n" in text
    assert "films/beach.mp4\n" in text
    (stick / FOLDER / "films").mkdir()
    checked = subprocess.run(
        ["sha256sum", "-c", sums.NAME], cwd=file.parent, capture_output=True, text=True, check=False
    )
    assert checked.stdout.count(": OK") == 3


def test_names_that_no_file_can_have_do_no_harm(catalogue: Catalogue, stick: Path) -> None:
    (stick / FOLDER).mkdir()
    name = "\u00fc" * 190 + ".mp4"
    (stick / FOLDER / sums.NAME).write_text(f"{'0' * 64} *{name}\n")
    note = gallery.Note(clip=name, device="kitchen", sequence=1)
    (stick / FOLDER / gallery.NOTES).write_bytes(gallery.render_notes({name: note}))
    assert HandOver(catalogue, stick).run().failed == []


def test_sums_in_two_bytes_a_letter_are_read(catalogue: Catalogue, stick: Path) -> None:
    HandOver(catalogue, stick).run()
    file = stick / FOLDER / sums.NAME
    file.write_bytes(file.read_text().encode("utf-16"))
    assert HandOver(catalogue, stick).run().already_there == 3


def test_sums_name_no_clip_that_was_deleted(catalogue: Catalogue, stick: Path) -> None:
    HandOver(catalogue, stick).run()
    for moment in catalogue.moments()[:2]:
        catalogue.remove(moment)
    (stick / FOLDER / "moment-000001.mp4").unlink()
    HandOver(catalogue, stick).run()
    command = ["sha256sum", "-c", "SHA256SUMS"]
    checked = subprocess.run(command, cwd=stick / FOLDER, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == 2


def test_sums_that_are_too_large_to_be_ours_are_set_aside_whole(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MAX_BYTES", 1000)
    (stick / FOLDER).mkdir()
    (stick / FOLDER / sums.NAME).write_bytes(b"x" * 2000)
    assert HandOver(catalogue, stick).run().copied == CLIPS
    assert (stick / FOLDER / "SHA256SUMS-2").read_bytes() == b"x" * 2000


def test_a_file_system_that_cannot_sync_directories_will_do(
    catalogue: Catalogue, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def refuse(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        if path.is_dir() and path.is_relative_to(stick):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    assert HandOver(catalogue, stick).run().copied == CLIPS


def test_whatever_the_umask_is_the_owner_of_a_stick_can_read_it(catalogue: Catalogue, stick: Path) -> None:
    before = os.umask(0o077)
    try:
        HandOver(catalogue, stick).run()
    finally:
        os.umask(before)
    assert (stick / FOLDER).stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in (stick / FOLDER).iterdir()} == {0o644}


def test_a_stick_that_was_pulled_is_left_at_once(catalogue: Catalogue, stick: Path) -> None:
    pulled = Pulled()
    with pytest.raises(StickPulledError):
        HandOver(catalogue, stick, on_progress=lambda _: pulled.set(), pulled=pulled).run()
    assert exported(catalogue) == [False] * 3


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
    [trouble] = report.failed
    assert trouble.startswith(f"3 copied and verified, but the clip store {catalogue.root} cannot note that (Perm")
    assert report.copied == CLIPS
    assert on_stick(stick) == ALL
    assert "cannot note that" in (stick / FOLDER / "health.txt").read_text()


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
    assert sums.parse(Sums(known).render()) == Sums(known)


@given(st.binary(max_size=400))
def test_any_bytes_may_stand_in_sums(data: bytes) -> None:
    read = sums.parse(data)
    for name, digest in read.known.items():
        assert "/" not in name
        assert len(digest) == 64
    assert sums.parse(read.render()) == read


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "a\\b", "a\x00b", ""])
def test_names_with_paths_in_them_are_kept_and_not_used(name: str) -> None:
    line = f"{'0' * 64} *{name}"
    assert sums.parse(f"{line}\n".encode()) == Sums({}, [line])
