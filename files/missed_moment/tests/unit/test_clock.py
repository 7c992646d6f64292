"""What may be believed of the clocks."""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from missed_moment import clock
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clock import BUILT, LIFETIME, RealTimeClocks, rtc_kept_time
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
    monkeypatch.setattr(clock, "_rtcs", RealTimeClocks(tmp_path / "rtc"))
    assert not clock.wall_time().certain
    (tmp_path / "synchronized").touch()
    assert clock.wall_time().certain


DAY = 86400.0
RELEASED_S = round(BUILT.timestamp())
NOW_S = RELEASED_S + round(100 * DAY)


@pytest.mark.parametrize(
    ("rtc_s", "system_s", "uptime_s", "right"),
    [
        (NOW_S, NOW_S + 0.5, 10, True),
        (NOW_S, NOW_S + 3, 10, True),
        (NOW_S, NOW_S - 60, 30 * DAY, True),  # two quartzes, a month
        (NOW_S, NOW_S - 60, 3600, False),  # somebody set the clock
        (NOW_S, NOW_S + 3600, 3600, False),
        (700, 700.5, 650, False),  # Raspberry Pi 5 without a battery: it woke up in 1970
        (700, NOW_S, 650, False),  # the same, after timesyncd moved the clock to what it had noted
        (946_684_800 + 40, 946_684_840.5, 40, False),  # DS3231 with a flat battery: 2000-01-01
        (RELEASED_S, RELEASED_S + 0.5, 10, False),
        (RELEASED_S + 1, RELEASED_S + 1.5, 10, True),
        (round((BUILT + LIFETIME).timestamp()), (BUILT + LIFETIME).timestamp(), 10, False),  # registers full of noise
        (4_000_000_000, 4_000_000_000.5, 10, False),
        (-1, -0.5, 10, False),
    ],
)
def test_a_real_time_clock_is_believed_if_it_was_set_and_still_agrees(
    rtc_s: int, system_s: float, uptime_s: float, right: bool
) -> None:
    assert rtc_kept_time(rtc_s, system_s, uptime_s) is right


def real_time_clock(directory: Path, number: int = 0, hctosys: str = "1", since_epoch: str | None = None) -> Path:
    """A real-time clock in sysfs; without `since_epoch` it cannot be read, as one whose oscillator stopped."""
    rtc = directory / f"rtc{number}"
    rtc.mkdir(parents=True, exist_ok=True)
    (rtc / "hctosys").write_text(hctosys + "\n")
    if since_epoch is None:
        (rtc / "since_epoch").mkdir()
    else:
        (rtc / "since_epoch").write_text(since_epoch + "\n")
    return rtc


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the system clock of this test, in Unix time; it stands still."""

    def set_to(system_s: float) -> None:
        monkeypatch.setattr("time.time", lambda: system_s)

    set_to(NOW_S + 0.5)
    return set_to


def test_the_clock_that_set_the_system_clock_counts(tmp_path: Path, set_clock: Callable[[float], None]) -> None:
    assert not RealTimeClocks(tmp_path / "none").kept_time()
    real_time_clock(tmp_path, 0, since_epoch="0", hctosys="0")
    real_time_clock(tmp_path, 1, since_epoch=str(NOW_S))
    assert RealTimeClocks(tmp_path).kept_time()
    set_clock(NOW_S + DAY)
    assert not RealTimeClocks(tmp_path).kept_time()


@pytest.mark.parametrize(
    ("hctosys", "since_epoch"),
    [("0", str(NOW_S)), ("", str(NOW_S)), ("1", None), ("1", ""), ("1", "noise"), ("1", str(NOW_S - 60))],
)
def test_every_error_of_a_real_time_clock_is_a_no(
    hctosys: str, since_epoch: str | None, tmp_path: Path, set_clock: Callable[[float], None]
) -> None:
    real_time_clock(tmp_path, hctosys=hctosys, since_epoch=since_epoch)
    assert not RealTimeClocks(tmp_path).kept_time()


def test_a_real_time_clock_may_come_late_and_is_not_read_all_the_time(
    tmp_path: Path, set_clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [100 * clock.NS]
    monkeypatch.setattr(clock, "monotonic_ns", lambda: now_ns[0])
    rtcs = RealTimeClocks(tmp_path)
    assert not rtcs.kept_time()
    real_time_clock(tmp_path, since_epoch=str(NOW_S))
    now_ns[0] += 9 * clock.NS
    assert not rtcs.kept_time()
    now_ns[0] += 1 * clock.NS
    assert rtcs.kept_time()
    set_clock(NOW_S + DAY)  # somebody sets the clock
    now_ns[0] += 9 * clock.NS
    assert rtcs.kept_time()
    now_ns[0] += 1 * clock.NS
    assert not rtcs.kept_time()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the clock is somebody's computer's")
def test_the_wall_clock_is_certain_where_a_real_time_clock_kept_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_kept_right", KEPT_RIGHT)
    monkeypatch.setattr(clock, "_SYNCHRONISED", tmp_path / "synchronized")
    monkeypatch.setattr(clock, "_rtcs", RealTimeClocks(tmp_path))
    monkeypatch.setattr("time.time", lambda: NOW_S + 0.5)
    monkeypatch.setattr("time.time_ns", lambda: NOW_S * clock.NS)
    assert not clock.wall_time().certain
    monkeypatch.setattr(clock, "_rtcs", RealTimeClocks(tmp_path))
    real_time_clock(tmp_path, since_epoch=str(NOW_S))
    assert clock.wall_time().certain
    assert not clock.take_forward(BUILT + timedelta(days=1000))  # a stick does not know better


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


def test_a_clock_that_is_set_later_does_not_add_to_what_a_stick_told(
    lost_in_time: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """timesyncd waits for /data, and the recorder does not: the system clock may move after a stick told the day."""
    assert clock.take_forward(lost_in_time + timedelta(days=100))
    noted = lost_in_time + timedelta(days=90)
    drift_ns = round(noted.timestamp() * clock.NS) - clock.monotonic_ns()
    monkeypatch.setattr("time.time_ns", lambda: clock.monotonic_ns() + drift_ns)
    now = clock.wall_time()
    assert abs(now.at - lost_in_time - timedelta(days=100)) < timedelta(minutes=1)
    assert now.from_stick
    monkeypatch.setattr("time.time_ns", lambda: clock.monotonic_ns() + drift_ns + 20 * 86400 * clock.NS)
    now = clock.wall_time()
    assert abs(now.at - lost_in_time - timedelta(days=110)) < timedelta(minutes=1)
    assert not now.from_stick


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
