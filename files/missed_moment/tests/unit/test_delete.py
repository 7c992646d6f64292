"""One kept moment is deleted for good; what its copies left on a stick goes with them, and nothing of the owner's."""

import errno
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.recovery import recover
from missed_moment.control import ControlServer, ask
from missed_moment.durable import LocalDisk
from missed_moment.errors import ControlError, StoreError
from missed_moment.export import gallery, sums
from missed_moment.export.handover import FOLDER, HandOver
from missed_moment.services.program import _Commands
from rig import FailingDisk, HookedDisk, assert_whole, filled, recording, store_moment, wait_for

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for _ in range(3):
        store_moment(tmp_path / "clips", seconds=1)
    return tmp_path / "clips"


def sequences(store: Path) -> list[int]:
    return [moment.sequence for moment in Catalogue(store, LocalDisk()).moments()]


def test_it_is_overwritten_before_it_is_removed_and_no_other_is_touched(store: Path) -> None:
    at_removal: list[bytes] = []

    def look(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "remove" and arguments[0].name.startswith(names.TOMBSTONE):
            at_removal.extend(path.read_bytes() for path in arguments[0].iterdir())

    Catalogue(store, HookedDisk(look)).delete(3)
    assert sequences(store) == [1, 2]
    assert len(at_removal) == 3
    assert not any(any(content) for content in at_removal)
    for moment in Catalogue(store, LocalDisk()).moments():
        assert assert_whole(moment.clip)
    store_moment(store, seconds=1)
    assert sequences(store) == [1, 2, 4], "its number is not given again"


@pytest.mark.parametrize("number", [0, 4, -1])
def test_an_unknown_number_is_refused_and_nothing_is_deleted(number: int, store: Path) -> None:
    with pytest.raises(StoreError, match=f"there is no moment {number} in .*`missed-moment clips` lists"):
        Catalogue(store, LocalDisk()).delete(number)
    assert sequences(store) == [1, 2, 3]


def test_a_moment_that_is_still_being_saved_is_not_deleted(store: Path) -> None:
    sequence, incoming = Catalogue(store, LocalDisk()).begin()
    with pytest.raises(StoreError, match="still being saved"):
        Catalogue(store, LocalDisk()).delete(sequence)
    assert incoming.is_dir()


def test_a_disk_that_fails_is_told_and_the_next_attempt_deletes(store: Path) -> None:
    disk = FailingDisk("rename", errno.EROFS)
    with pytest.raises(StoreError, match=r"moment 2 in .* is not deleted \(injected\): try again"):
        Catalogue(store, disk).delete(2)
    disk.mend()
    Catalogue(store, disk).delete(2)
    assert sequences(store) == [1, 3]


def test_a_recovery_meanwhile_leaves_it_to_whoever_deletes_it(store: Path) -> None:
    """The recorder's own thread may find the tombstone of another, or of a process: presses wait for that thread."""
    overwriting, go_on = threading.Event(), threading.Event()

    def hesitate(call: str, _: tuple[Any, ...]) -> None:
        if call == "pwrite" and not overwriting.is_set():
            overwriting.set()
            assert go_on.wait(20)

    errors: list[BaseException] = []

    def run(work: Any, *arguments: Any) -> None:
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - for the assertion below
            errors.append(error)

    deleting = threading.Thread(target=run, args=(Catalogue(store, HookedDisk(hesitate)).delete, 1))
    deleting.start()
    assert overwriting.wait(20)
    recovering = threading.Thread(target=run, args=(recover, Catalogue(store, LocalDisk()), "test"))
    recovering.start()
    recovering.join(20)
    assert not recovering.is_alive()
    assert deleting.is_alive()
    assert (store / names.INCOMING / f"{names.TOMBSTONE}moment-000001").is_dir()
    go_on.set()
    deleting.join(20)
    assert not deleting.is_alive()
    assert errors == []
    assert sequences(store) == [2, 3]
    assert not list((store / names.INCOMING).iterdir())


def test_a_deletion_that_failed_half_way_can_be_tried_again(store: Path) -> None:
    disk = FailingDisk("pwrite", errno.EIO)
    with pytest.raises(StoreError, match="try again"):
        Catalogue(store, disk).delete(2)
    assert sequences(store) == [1, 3]
    disk.mend()
    Catalogue(store, disk).delete(2)
    assert not list((store / names.INCOMING).iterdir())


def test_a_damaged_moment_that_was_set_aside_can_be_deleted(store: Path) -> None:
    catalogue = Catalogue(store, LocalDisk())
    aside = catalogue.set_aside(store / "moment-000002")
    catalogue.delete(2)
    assert not aside.exists()
    assert sequences(store) == [1, 3]


def test_a_moment_that_somebody_deletes_while_room_is_made_is_no_error(store: Path) -> None:
    catalogue = Catalogue(store, LocalDisk())
    leaving = catalogue.moments()[0]
    catalogue.delete(1)
    catalogue.remove(leaving)
    assert sequences(store) == [2, 3]


def test_a_moment_that_is_overwritten_while_it_is_copied_reaches_no_stick(store: Path, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    catalogue = Catalogue(store, LocalDisk())

    def delete(progress: Any) -> None:
        if progress.name == "moment-000001.mp4" and 1 in sequences(store):
            catalogue.delete(1)

    report = HandOver(catalogue, tmp_path / "stick", on_progress=delete).run()
    assert report.copied == ["moment-000002.mp4", "moment-000003.mp4"]
    assert not list((tmp_path / "stick" / FOLDER).glob("moment-000001*"))


def test_what_copies_left_on_a_stick_goes_with_them_and_nothing_of_the_owner_s(store: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick" / FOLDER
    stick.parent.mkdir()
    catalogue = Catalogue(store, LocalDisk())
    HandOver(catalogue, stick.parent).run()
    for number in (1, 2):
        catalogue.delete(number)
    (stick / "moment-000001.mp4").unlink()
    (stick / "holiday.jpg").write_bytes(b"the owner's")
    (stick / "moment-000009.jpg").write_bytes(b"the owner's, whatever it is called")
    owners = f"{'0' * 64} *lent to somebody.mp4"
    (stick / sums.NAME).write_text((stick / sums.NAME).read_text() + owners + "\n")
    HandOver(catalogue, stick.parent).run()
    there = {path.name for path in stick.iterdir()}
    assert "moment-000001.jpg" not in there
    assert {"moment-000002.mp4", "moment-000002.jpg", "moment-000003.mp4", "moment-000003.jpg"} <= there
    assert {"holiday.jpg", "moment-000009.jpg"} <= there
    listed = (stick / sums.NAME).read_text()
    assert "moment-000001" not in listed
    assert "moment-000002.mp4" in listed
    assert owners in listed
    assert list(gallery.parse((stick / gallery.NOTES).read_bytes())) == ["moment-000002.mp4", "moment-000003.mp4"]


@pytest.mark.parametrize("clip", ["holiday.mp4", "moment-1.mp4", "2026-05-01_moment-000001.mp4"])
def test_a_note_that_names_no_clip_of_ours_deletes_nothing(clip: str, store: Path, tmp_path: Path) -> None:
    """Anyone may have written the notes on a stick."""
    stick = tmp_path / "stick" / FOLDER
    stick.mkdir(parents=True)
    (stick / gallery.NOTES).write_text(json.dumps({"clip": clip, "device": "x", "sequence": 1}) + "\n")
    (stick / gallery.thumbnail_name(clip)).write_bytes(b"the owner's")
    HandOver(Catalogue(store, LocalDisk()), stick.parent).run()
    assert (stick / gallery.thumbnail_name(clip)).read_bytes() == b"the owner's"


@pytest.mark.parametrize("clip", ["moment-000001.mp4", "2026-05-01_12-34-56_moment-1000001.mp4", "moment-000001-2.mp4"])
def test_all_names_that_copies_have_are_known(clip: str) -> None:
    assert names.is_file_name(clip)


def missed_moment(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "missed_moment", *map(str, arguments)]
    return subprocess.run(
        command, env={"PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_command_deletes_with_a_recorder_and_without(store: Path, tmp_path: Path) -> None:
    socket = tmp_path / "control.sock"
    with recording(store) as recorder:
        commands = _Commands(recorder)
        server = ControlServer(socket, {"delete": commands.delete})
        server.start()
        try:
            told = missed_moment("delete", 1, "--socket", socket, "--store", tmp_path / "another")
            assert (told.returncode, told.stdout) == (0, "moment 1 is deleted\n")
            wait_for(lambda: recorder.status().store.moments == 2)
            unknown = missed_moment("delete", 7, "--socket", socket)
            assert unknown.returncode == 1
            assert "there is no moment 7" in unknown.stderr
            with pytest.raises(ControlError, match="no number of a moment"):
                ask(socket, "delete", sequence="../2")
        finally:
            server.stop()
        filled(recorder, 0.5)
    assert sequences(store) == [2, 3]
    told = missed_moment("delete", 3, "--socket", socket, "--store", store)
    assert told.returncode == 0, told.stderr
    assert sequences(store) == [2]
    unknown = missed_moment("delete", 3, "--socket", socket, "--store", store)
    assert unknown.returncode == 1
    assert len(unknown.stderr.splitlines()) == 1
    assert missed_moment("delete", "x", "--socket", socket, "--store", store).returncode == 2
