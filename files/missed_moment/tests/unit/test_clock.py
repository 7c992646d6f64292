"""What may be believed of the clocks."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from missed_moment import clock
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clock import BUILT, LIFETIME
from missed_moment.durable import LocalDisk
from missed_moment.export.newest import newest
from rig import recording, store_moment, wait_for

KEPT_RIGHT = clock._kept_right  # before other tests' clock takes its place


def test_the_wall_clock_of_an_instant_follows_its_monotonic_time() -> None:
    now = clock.monotonic_ns()
    then = clock.wall_time(now - 5 * clock.NS)
    assert 4.9 < (clock.wall_time(now).at - then.at).total_seconds() < 5.1
    assert clock.boot_id() == clock.boot_id()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the clock is somebody's computer's")
def test_the_wall_clock_is_certain_once_it_was_synchronised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_kept_right", KEPT_RIGHT)
    monkeypatch.setattr(clock, "_SYNCHRONISED", tmp_path / "synchronized")
    assert not clock.wall_time().certain
    (tmp_path / "synchronized").touch()
    assert clock.wall_time().certain


@pytest.fixture
def lost_in_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[datetime]:
    """A board that nobody told the time: for it, it is a day after its release, whatever it is for others."""
    woke = BUILT + timedelta(days=1)
    drift_ns = round(woke.timestamp() * clock.NS) - clock.monotonic_ns()
    monkeypatch.setattr(clock, "_kept_right", lambda: False)
    monkeypatch.setattr("time.time_ns", lambda: clock.monotonic_ns() + drift_ns)
    monkeypatch.setattr(clock, "_forward", clock._Forward())
    return woke


def test_time_goes_forward_and_never_back(lost_in_time: datetime) -> None:
    assert abs(clock.wall_time().at - lost_in_time) < timedelta(minutes=1)
    assert not clock.wall_time().from_stick
    assert clock.take_forward(lost_in_time + timedelta(days=100))
    assert not clock.take_forward(lost_in_time + timedelta(days=99))
    now = clock.wall_time()
    assert abs(now.at - lost_in_time - timedelta(days=100)) < timedelta(minutes=1)
    assert now.from_stick
    assert not now.certain


@pytest.mark.parametrize(
    "at", [BUILT - timedelta(days=1), BUILT + LIFETIME + timedelta(days=1), datetime.max.replace(tzinfo=UTC)]
)
def test_what_cannot_be_is_not_believed(at: datetime, lost_in_time: datetime) -> None:
    assert not clock.take_forward(at)
    assert not clock.wall_time().from_stick


@pytest.mark.setting("stick.tells_time")
def test_a_clock_that_is_kept_right_is_not_moved(lost_in_time: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock.take_forward(lost_in_time + timedelta(days=100))
    monkeypatch.setattr(clock, "_kept_right", lambda: True)
    assert not clock.take_forward(lost_in_time + timedelta(days=200))
    assert abs(clock.wall_time().at - lost_in_time) < timedelta(minutes=1)


def test_the_newest_file_at_the_top_counts(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    for name, days in (("old.txt", 1), ("new.txt", 5), ("never.txt", 9000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(0, round((BUILT + timedelta(days=days)).timestamp() * clock.NS)))
    (tmp_path / "missed-moment").mkdir()  # now
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.utime(tmp_path / "link", ns=(0, 2**62), follow_symlinks=False)
    assert newest(tmp_path) == BUILT + timedelta(days=5)


@pytest.mark.setting("stick.tells_time")
@pytest.mark.parametrize("wanted", [True, False])
def test_moments_of_this_boot_are_dated_anew(wanted: bool, tmp_path: Path, lost_in_time: datetime) -> None:
    store_moment(tmp_path, seconds=1)
    catalogue = Catalogue(tmp_path, LocalDisk())
    [moment] = catalogue.moments()
    before = moment.info().start
    catalogue.write_info(moment.path, moment.info().model_copy(update={"start_ns": clock.monotonic_ns()}))
    with recording(tmp_path, written=f"[stick]\ntells_time = {wanted}\n".lower()) as recorder:
        recorder.hear_of_time(lost_in_time + timedelta(days=300))
        if wanted:
            wait_for(lambda: moment.info().clock_from_stick)
            assert timedelta(days=299) < moment.info().start - before < timedelta(days=301)
            assert not moment.info().clock_certain
    assert moment.info().clock_from_stick == wanted


def test_moments_of_other_boots_keep_their_dates(tmp_path: Path, lost_in_time: datetime) -> None:
    store_moment(tmp_path, seconds=1)
    catalogue = Catalogue(tmp_path, LocalDisk())
    [moment] = catalogue.moments()
    before = moment.info()
    clock.take_forward(lost_in_time + timedelta(days=300))
    catalogue.redate("another boot", clock.wall_time)
    assert moment.info() == before
