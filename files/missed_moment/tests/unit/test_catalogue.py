"""What is in the store: numbers that are never given twice, records that may be broken, deletions that are whole."""

import json
import os
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue, Moment
from missed_moment.clips.recovery import recover
from missed_moment.durable import LocalDisk
from missed_moment.errors import ClipError, StoreError
from rig import HookedDisk, store_moment


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for _ in range(3):
        store_moment(tmp_path / "clips", seconds=1)
    return tmp_path / "clips"


def catalogue(store: Path) -> Catalogue:
    return Catalogue(store, LocalDisk())


def sequences(store: Path) -> list[int]:
    return [moment.sequence for moment in catalogue(store).moments()]


def test_moments_are_numbered_and_listed_oldest_first(store: Path) -> None:
    assert sequences(store) == [1, 2, 3]


def test_no_number_is_given_twice_not_even_after_deleting(store: Path) -> None:
    for moment in reversed(catalogue(store).moments()):
        catalogue(store).remove(moment)
    assert sequences(store) == []
    store_moment(store, seconds=1)
    assert sequences(store) == [4]


def test_a_deletion_that_was_cut_short_is_finished_at_the_next_start(store: Path) -> None:
    """The power goes after the rename: the moment is out of sight at once, and its bytes go later."""

    def power_cut(call: str, arguments: tuple[object, ...]) -> None:
        if call == "remove" and "removed" in str(arguments[0]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Catalogue(store, HookedDisk(power_cut)).remove(catalogue(store).moments()[0])
    assert sequences(store) == [2, 3]
    assert len(catalogue(store).leftovers()) == 1
    assert recover(catalogue(store), "test") == []
    assert catalogue(store).leftovers() == []
    assert sequences(store) == [2, 3]


def test_what_is_no_moment_is_passed_over(store: Path) -> None:
    (store / "moment-000009").mkdir()
    (store / "lost+found").mkdir()
    (store / "moment-x").mkdir()
    (store / "moment-000010").symlink_to(store / "moment-000001")
    (store / "moment-000011").write_text("a file")
    assert sequences(store) == [1, 2, 3]


def test_exported_is_remembered_and_a_broken_record_counts_as_not_exported(store: Path) -> None:
    one, two, _ = catalogue(store).moments()
    catalogue(store).mark_exported(one, "0" * 64)
    catalogue(store).mark_exported(two, "0" * 64)
    (two.path / names.EXPORTED).write_text("{")
    assert [moment.exported is not None for moment in catalogue(store).moments()] == [True, False, False]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"sequence": "x"}'])
def test_a_moment_with_a_broken_description_is_still_a_moment(store: Path, content: bytes) -> None:
    [moment, *_] = catalogue(store).moments()
    (moment.path / names.INFO).write_bytes(content)
    with pytest.raises(ClipError, match="not affected"):
        moment.info()
    assert moment.file_name() == "moment-000001.mp4"


def test_a_description_from_a_later_version_can_be_read(store: Path) -> None:
    [moment, *_] = catalogue(store).moments()
    info = json.loads((moment.path / names.INFO).read_bytes())
    (moment.path / names.INFO).write_text(json.dumps({**info, "invented_later": 1}))
    assert moment.info().sequence == 1


def test_a_clip_is_dated_only_where_the_clock_was_certain(store: Path) -> None:
    [moment, *_] = catalogue(store).moments()
    info = json.loads((moment.path / names.INFO).read_bytes())
    info |= {"start": "2026-05-01T12:34:56Z", "clock_certain": True}
    (moment.path / names.INFO).write_text(json.dumps(info))
    assert moment.file_name() == "2026-05-01_12-34-56_moment-000001.mp4"
    assert moment.file_name(ZoneInfo("Asia/Tokyo")) == "2026-05-01_21-34-56_moment-000001.mp4"
    info["clock_certain"] = False
    (moment.path / names.INFO).write_text(json.dumps(info))
    assert moment.file_name() == "moment-000001.mp4"


def test_a_store_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file")
    with pytest.raises(StoreError, match="is its disk mounted"):
        catalogue(tmp_path / "clips").prepare()


def test_clips_are_not_for_everyone(store: Path) -> None:
    for path in [store, *store.rglob("*")]:
        assert path.stat().st_mode & 0o007 == 0, path


def test_two_sticks_may_be_noted_at_once(store: Path) -> None:
    renaming, go_on = threading.Event(), threading.Event()

    def hesitate(call: str, _: tuple[object, ...]) -> None:
        if call == "rename":
            renaming.set()
            assert go_on.wait(10)

    [moment, *_] = catalogue(store).moments()
    slow = threading.Thread(target=Catalogue(store, HookedDisk(hesitate)).mark_exported, args=(moment, "a" * 64))
    quick = threading.Thread(target=catalogue(store).mark_exported, args=(moment, "b" * 64))
    slow.start()
    assert renaming.wait(10)
    quick.start()
    quick.join(0.2)
    assert quick.is_alive()
    go_on.set()
    slow.join()
    quick.join()
    [noted, *_] = catalogue(store).moments()
    assert noted.exported is not None
    assert noted.exported.sha256 == "b" * 64
    assert not list(moment.path.glob("*.part"))


def test_an_export_is_noted_through_no_link(tmp_path: Path) -> None:
    """Root may run the export, and an operator may write to the store."""
    store_moment(tmp_path / "clips", seconds=1)
    catalogue = Catalogue(tmp_path / "clips", LocalDisk())
    [moment] = catalogue.moments()
    moment.path.rename(tmp_path / "elsewhere")
    moment.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        catalogue.mark_exported(moment, "0" * 64)
    assert not (tmp_path / "elsewhere" / "exported.json").exists()


@pytest.mark.parametrize("trap", ["FIFO", "link", "directory"])
@pytest.mark.parametrize("name", [names.EXPORTED, names.INFO])
def test_a_record_that_is_no_file_hides_no_moment_and_stops_nobody(
    name: str, trap: str, store: Path, tmp_path: Path
) -> None:
    """An operator may write to the store: whoever reads a FIFO there waits for ever."""
    record = catalogue(store).moments()[0].path / name
    record.unlink(missing_ok=True)
    if trap == "FIFO":
        os.mkfifo(record)
    elif trap == "link":
        (tmp_path / "elsewhere").write_text('{"sha256": "", "size": 1, "at": "2026-11-24T00:00:00Z"}')
        record.symlink_to(tmp_path / "elsewhere")
    else:
        record.mkdir()
    looked: list[Moment] = []
    looker = threading.Thread(target=lambda: looked.extend(catalogue(store).moments()), daemon=True)
    looker.start()
    looker.join(20)
    assert [moment.exported for moment in looked] == [None] * 3
    if name == names.INFO:
        looker = threading.Thread(target=looked[0].file_name, daemon=True)
        looker.start()
        looker.join(20)
        assert not looker.is_alive()
