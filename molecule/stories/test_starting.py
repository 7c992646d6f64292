"""The story of a start can end badly: each way in which a device may film too late is seen."""

import pytest

from stories.starting import films_before_all_is_there

GOOD = {
    "missed-moment.service": {"InactiveExitTimestampMonotonic": 5.0, "ActiveEnterTimestampMonotonic": 21.0},
    "missed-moment-network.service": {"InactiveExitTimestampMonotonic": 21.1},
    "multi-user.target": {"ActiveEnterTimestampMonotonic": 25.0},
}
FIRST_S = 20.0


def films(first_s: float = FIRST_S, camera_was_late: bool = False, **changed: float) -> None:
    """Hold a first frame against a start of which some times are changed, named UNIT_PROPERTY."""

    def run(*command: str) -> str:
        unit, what = command[-1], command[2].removeprefix("--property=")
        return f"{changed.get(unit.split('.')[0].replace('-', '_'), GOOD[unit][what]) * 1e6:.0f}\n"

    films_before_all_is_there(first_s, run, camera_was_late)


def test_a_good_start_is_good() -> None:
    films()


def test_a_recorder_that_is_ready_before_it_films_is_seen() -> None:
    with pytest.raises(AssertionError, match="was ready"):
        films(first_s=21.1)


def test_a_recorder_is_ready_before_it_films_where_the_camera_was_late() -> None:
    films(first_s=31.0, camera_was_late=True)


def test_a_recorder_that_does_not_wait_for_a_late_camera_is_seen() -> None:
    with pytest.raises(AssertionError, match="was ready"):
        films(first_s=31.0, camera_was_late=True, missed_moment=12.9)


def test_a_network_that_is_asked_for_first_is_seen() -> None:
    with pytest.raises(AssertionError, match="the network was asked for"):
        films(missed_moment_network=19.0)


def test_a_network_that_nobody_asked_for_is_seen() -> None:
    with pytest.raises(AssertionError, match="never started"):
        films(missed_moment_network=0.0)


def test_a_frame_of_before_the_start_is_seen() -> None:
    with pytest.raises(AssertionError, match="was started"):
        films(first_s=4.0)
