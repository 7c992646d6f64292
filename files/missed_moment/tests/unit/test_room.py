"""Room: who leaves, in which order, and who never does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment import clock
from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue, ExportRecord, Moment
from missed_moment.clips.instant import Instant
from missed_moment.clips.room import RESERVE, Room, expired, to_leave
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from missed_moment.errors import StoreFullError
from rig import filled, recording, store_moment, wait_for

EXPORTED = ExportRecord(sha256="0" * 64, size=1, at=datetime.now(UTC))


def moments(sizes: list[tuple[int, bool]]) -> list[Moment]:
    return [Moment(Path(str(n)), n, size, EXPORTED if exported else None) for n, (size, exported) in enumerate(sizes)]


def test_exported_moments_leave_first_oldest_first() -> None:
    leaving = to_leave(moments([(10, False), (10, True), (10, True), (10, True)]), 15, "stop")
    assert [moment.sequence for moment in leaving] == [1, 2]


def test_what_was_never_exported_is_not_deleted_unless_the_owner_chose_so() -> None:
    stored = moments([(10, False), (10, True), (10, False)])
    with pytest.raises(StoreFullError, match="2 moments are on no stick"):
        to_leave(stored, 15, "stop")
    assert [moment.sequence for moment in to_leave(stored, 15, "oldest")] == [1, 0]


@given(
    st.lists(st.tuples(st.integers(1, 100), st.booleans()), max_size=20),
    st.integers(-10, 1500),
    st.sampled_from(["stop", "oldest"]),
)
def test_enough_leaves_and_no_more_than_needed(
    sizes: list[tuple[int, bool]], missing: int, when_full: Literal["stop", "oldest"]
) -> None:
    stored = moments(sizes)
    may_leave = [moment for moment in stored if moment.exported or when_full == "oldest"]
    try:
        leaving = to_leave(stored, missing, when_full)
    except StoreFullError:
        assert sum(moment.size for moment in may_leave) < missing
        return
    assert all(moment in may_leave for moment in leaving)
    assert sum(moment.size for moment in leaving) >= missing
    assert sum(moment.size for moment in leaving[:-1]) < max(missing, 1)


class SmallDisk(LocalDisk):
    """A disk with `room` bytes for clips, besides the reserve."""

    def __init__(self, root: Path, room: int) -> None:
        self._root, self._room = root, room

    def free(self, path: Path) -> int:
        used = sum(moment.size for moment in Catalogue(self._root, LocalDisk()).moments())
        return self._room + RESERVE - used


def test_room_is_made_in_a_real_store_and_checking_deletes_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        store_moment(tmp_path, seconds=1)
    stored = Catalogue(tmp_path, LocalDisk()).moments()
    size = stored[1].size  # the one that leaves
    catalogue = Catalogue(tmp_path, SmallDisk(tmp_path, sum(moment.size for moment in stored)))
    catalogue.mark_exported(stored[1], "0" * 64)
    room = Room(catalogue, "stop", timedelta(days=30))
    room.check(size)
    assert len(catalogue.moments()) == 3
    room.assure(size)
    assert [moment.sequence for moment in catalogue.moments()] == [1, 3]
    room.assure(size)
    with pytest.raises(StoreFullError, match="Plug in a USB stick"):
        room.assure(2 * size)
    assert [moment.sequence for moment in catalogue.moments()] == [1, 3]


HOUR, MONTH, DECADE = timedelta(hours=1), timedelta(days=31), timedelta(days=3653)
JUMPS = [sign * jump for jump in (HOUR, MONTH, DECADE) for sign in (1, -1)]
VERIFIED = Instant(EXPORTED.at, True, "a boot", 10**15)


def stored_at(verified: Instant) -> list[Moment]:
    """Return a moment that was exported then, and one that was not."""
    record = EXPORTED.model_copy(
        update={
            "at": verified.at,
            "clock_certain": verified.certain,
            "boot_id": verified.boot_id,
            "monotonic_ns": verified.monotonic_ns,
        }
    )
    return [Moment(Path("0"), 0, 10, record), Moment(Path("1"), 1, 10, None)]


def later(passed: timedelta, boot_id: str = VERIFIED.boot_id, jump: timedelta = timedelta(0)) -> Instant:
    """Return the instant so long after `VERIFIED`; the wall clock was moved by `jump` meanwhile."""
    passed_ns = round(passed.total_seconds() * NS)
    monotonic_ns = passed_ns if boot_id != VERIFIED.boot_id else VERIFIED.monotonic_ns + passed_ns
    return Instant(VERIFIED.at + passed + jump, True, boot_id, monotonic_ns)


@pytest.mark.parametrize("boot_id", ["a boot", "another"])
@pytest.mark.parametrize(
    ("days", "aged", "gone"), [(30, 29.9, False), (30, 30, True), (0, 0.0001, False), (0, 0.01, True)]
)
def test_exported_moments_stay_for_as_long_as_the_owner_wants(
    days: float, aged: float, gone: bool, boot_id: str
) -> None:
    now = later(timedelta(days=aged), boot_id)
    assert [m.sequence for m in expired(stored_at(VERIFIED), timedelta(days=days), now)] == [0] * gone


def test_time_that_the_device_was_off_counts_if_the_clock_was_certain_before_and_after() -> None:
    now = replace(later(timedelta(days=31), "another"), monotonic_ns=60 * NS)
    keep = timedelta(days=30)
    assert len(expired(stored_at(VERIFIED), keep, now)) == 1
    assert expired(stored_at(VERIFIED), keep, replace(now, certain=False)) == []
    assert expired(stored_at(replace(VERIFIED, certain=False)), keep, now) == []


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("certain", [(False, False), (False, True), (True, False), (True, True)])
def test_a_clock_that_jumps_deletes_nothing_and_keeps_nothing_longer(
    jump: timedelta, certain: tuple[bool, bool]
) -> None:
    """NTP or a stick moves the clock in the boot of the export: the time that has passed is known all the same."""
    stored, keep = stored_at(replace(VERIFIED, certain=certain[0])), timedelta(days=30)
    soon, late = (replace(later(timedelta(days=days), jump=jump), certain=certain[1]) for days in (29.9, 30))
    assert expired(stored, keep, soon) == []
    assert len(expired(stored, keep, late)) == 1


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("certain", [(False, False), (False, True), (True, False)])
def test_a_clock_that_jumped_while_the_device_was_off_deletes_nothing(
    jump: timedelta, certain: tuple[bool, bool]
) -> None:
    stored, keep = stored_at(replace(VERIFIED, certain=certain[0])), timedelta(days=30)
    soon, late = (replace(later(timedelta(days=days), "another", jump), certain=certain[1]) for days in (29.9, 30))
    assert expired(stored, keep, soon) == []
    assert len(expired(stored, keep, late)) == 1, "this boot alone has lasted as long"


def test_a_note_of_an_earlier_version_expires_only_where_nothing_is_to_be_kept() -> None:
    stored = moments([(10, True)])
    now = later(DECADE, "another")
    assert expired(stored, timedelta(days=30), now) == []
    assert expired(stored, timedelta(0), now) == stored


def test_what_no_stick_has_never_expires() -> None:
    assert expired(moments([(10, False)] * 3), timedelta(0), later(DECADE)) == []


@pytest.mark.parametrize("jump", JUMPS)
def test_a_recorder_whose_clock_jumps_keeps_what_was_just_exported(
    jump: timedelta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stick's newest file is from next year, or the network's time arrives, right after the export."""
    store_moment(tmp_path, seconds=1)
    catalogue = Catalogue(tmp_path, LocalDisk())
    catalogue.mark_exported(catalogue.moments()[0], "0" * 64)
    wall_time = clock.wall_time

    def jumped(at_monotonic_ns: int | None = None) -> clock.WallTime:
        time = wall_time(at_monotonic_ns)
        return replace(time, at=time.at + jump, certain=True)

    monkeypatch.setattr(clock, "wall_time", jumped)
    with recording(tmp_path, before_s=1, after_s=0) as recorder:
        filled(recorder, 1)
        recorder.press()  # whatever else is to leave has left before this one is written
        assert recorder.wait_saved(20)
    assert [moment.sequence for moment in catalogue.moments()] == [1, 2]


@pytest.mark.setting("stick.delete_after_export")
def test_a_recorder_lets_go_of_what_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("missed_moment.clips.room.SETTLED", timedelta(0))
    for _ in range(2):
        store_moment(tmp_path, seconds=1)
    catalogue = Catalogue(tmp_path, LocalDisk())
    catalogue.mark_exported(catalogue.moments()[0], "0" * 64)
    with recording(tmp_path, written="[stick]\ndelete_after_export = true\n") as recorder:
        wait_for(lambda: len(catalogue.moments()) == 1)
        wait_for(lambda: recorder.status().store.moments == 1)
    assert [moment.sequence for moment in catalogue.moments()] == [2]


@pytest.mark.setting("store.keep_exported_days")
@pytest.mark.parametrize(("days", "left"), [(0, [3]), (4, [2, 3]), (9, [1, 2, 3])])
def test_a_recorder_keeps_what_was_exported_for_the_days_that_the_settings_say(
    tmp_path: Path, days: int, left: list[int]
) -> None:
    for _ in range(3):
        store_moment(tmp_path, seconds=1)
    catalogue = Catalogue(tmp_path, LocalDisk())
    for moment, age in zip(catalogue.moments(), (5, 3), strict=False):
        monotonic_ns = clock.monotonic_ns() - round(timedelta(days=age).total_seconds() * NS)
        record = EXPORTED.model_copy(update={"boot_id": clock.boot_id(), "monotonic_ns": monotonic_ns})
        (moment.path / names.EXPORTED).write_text(record.model_dump_json())
    with recording(tmp_path, written=f"[store]\nkeep_exported_days = {days}\n") as recorder:
        wait_for(lambda: recorder.status().store.moments == len(left))
        recorder.press()  # whatever else is to leave has left before this one is written
        assert recorder.wait_saved(20)
    assert [moment.sequence for moment in catalogue.moments()] == [*left, 4]


@pytest.mark.setting("store.when_full")
@pytest.mark.parametrize(("when_full", "left"), [("stop", [1, 2]), ("oldest", [2, 3])])
def test_a_full_recorder_does_what_the_settings_say(tmp_path: Path, when_full: str, left: list[int]) -> None:
    for _ in range(2):
        store_moment(tmp_path, seconds=12)
    catalogue = Catalogue(tmp_path, LocalDisk())
    disk = SmallDisk(tmp_path, sum(moment.size for moment in catalogue.moments()))
    with recording(tmp_path, disk, written=f'[store]\nwhen_full = "{when_full}"\n', before_s=1, after_s=0) as recorder:
        filled(recorder, 1)
        recorder.press()
        assert recorder.wait_saved(20)
    assert [moment.sequence for moment in catalogue.moments()] == left
