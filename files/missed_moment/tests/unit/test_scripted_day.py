"""A day with a store that fails, at any call; and with a wall clock that jumps, at any step.

MISSED_MOMENT_FAULTS sets at how many calls the store fails in each way; `make prove` tries all of them.
"""

import functools
import itertools
import os
import random
import tempfile
from pathlib import Path

import pytest

from faults import DISKS, CountingDisk, broken_read
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from scripted_day import STEPS, Day, assert_invariants, begin, live

FAULTS = int(os.environ.get("MISSED_MOMENT_FAULTS", "6"))
HOUR_S, MONTH_S, DECADE_S = 3600, 31 * 86_400, 3653 * 86_400
JUMPS = list(
    itertools.product(
        STEPS,
        [sign * jump_s for jump_s in (HOUR_S, MONTH_S, DECADE_S) for sign in (1, -1)],
        [(False, False), (False, True), (True, True)],
    )
)
"""At which step the wall clock jumps, by how much, and whether it is certain before and after that."""
pytestmark = pytest.mark.timeout(300 + 5 * FAULTS)


def points(calls: int) -> list[int]:
    """Choose so many of the calls as are to fail, evenly."""
    count = min(FAULTS, calls)
    return [(2 * number + 1) * calls // (2 * count) for number in range(count)]


@functools.cache
def calls_of_a_day(parent: Path) -> tuple[dict[str, int], int]:
    """Count, in a day without faults, the calls at which each kind of disk may fail, and the reads."""
    disk = CountingDisk()
    day = begin(parent, parent / "counted")
    with broken_read(day.store, None) as reads:
        live(day, disk)
    assert_invariants(day)
    counters = (disk.writes, disk.writes, disk.changes, disk.calls)
    return {kind: counter.calls for kind, counter in zip(DISKS, counters, strict=True)}, reads.calls


@pytest.fixture(scope="module")
def parent() -> Path:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def test_the_day_has_all_its_steps_and_nothing_is_lost_in_it(parent: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    day = begin(parent, tmp_path / "day")
    live(day, LocalDisk(), steps.append)
    assert steps == list(STEPS)
    assert len(day.kept_for_good) == 4
    assert_invariants(day)


@pytest.mark.parametrize("kind", DISKS)
def test_a_store_that_fails_at_any_call_loses_nothing(parent: Path, tmp_path: Path, kind: str) -> None:
    calls, _ = calls_of_a_day(parent)
    for at in points(calls[kind]):
        print(f"{kind} at call {at} of {calls[kind]}")
        day = begin(parent, tmp_path / str(at))
        live(day, DISKS[kind](at))
        assert_invariants(day)


def test_an_error_at_any_read_loses_nothing(parent: Path, tmp_path: Path) -> None:
    _, reads = calls_of_a_day(parent)
    for at in points(reads):
        print(f"at read {at} of {reads}")
        day = begin(parent, tmp_path / str(at))
        with broken_read(day.store, at):
            live(day, LocalDisk())
        assert_invariants(day)


def test_a_wall_clock_that_jumps_at_any_step_loses_nothing(parent: Path, tmp_path: Path) -> None:
    jumps = random.Random(6).sample(JUMPS, min(FAULTS, len(JUMPS)))
    for number, (step, jump_s, certain) in enumerate(jumps):
        print(f"by {jump_s} s at {step!r}; certain: {certain}")
        _live_with_a_jump(begin(parent, tmp_path / str(number)), step, jump_s, certain)


def _live_with_a_jump(day: Day, step: str, jump_s: int, certain: tuple[bool, bool]) -> None:
    day.clocks.certain, certain_then = certain
    stored: list[int] = []

    def at_step(name: str) -> None:
        if name == step:
            day.clocks.set_by_ns += jump_s * NS
            day.clocks.certain = certain_then
        if name == "a month later":
            stored.extend(moment.sequence for moment in Catalogue(day.store, LocalDisk()).moments())

    live(day, LocalDisk(), at_step)
    # What was exported is deleted after a month, and not before it has passed.
    assert stored == [1, 2, 3, 4, *day.kept_for_good[:-1]]
    assert_invariants(day)
    assert len(Catalogue(day.store, LocalDisk()).moments()) == 2
