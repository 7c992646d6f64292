"""What may be believed of the clocks."""

import sys
from pathlib import Path

import pytest

from missed_moment import clock

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
