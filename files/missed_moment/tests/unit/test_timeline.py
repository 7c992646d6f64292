"""Sample numbers and late clocks in, times out: exact to less than a millisecond, whatever the lateness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.clock import NS
from missed_moment.timeline import NOMINAL_NS, Line, fit

PERIOD = 960
YEAR_NS = 365 * 86_400 * NS


def points(seconds: float, ppm: float, late_ns: np.ndarray, started_ns: int = 0) -> list[tuple[int, int]]:
    count = int(seconds * 50)
    first = round(started_ns / NOMINAL_NS) // PERIOD * PERIOD
    step_ns = NOMINAL_NS / (1 + ppm * 1e-6)
    return [(first + n * PERIOD, started_ns + round(n * PERIOD * step_ns + late_ns[n])) for n in range(count)]


def error_ms(line: Line, told: list[tuple[int, int]], ppm: float, started_ns: int = 0) -> float:
    step_ns = NOMINAL_NS / (1 + ppm * 1e-6)
    first = told[0][0]
    true = [(sample, started_ns + (sample - first) * step_ns) for sample, _ in (told[0], told[-1])]
    return max(abs(line.time_of(sample) - at_ns) for sample, at_ns in true) / 1e6


@given(st.floats(-400, 400), st.integers(4, 70), st.sampled_from([0, 1000 * NS, YEAR_NS]), st.integers(0, 2**32))
def test_interrupts_are_late_by_a_millisecond(ppm: float, seconds: int, started_ns: int, seed: int) -> None:
    late = np.random.default_rng(seed).exponential(1e6, seconds * 50)
    told = points(seconds, ppm, late, started_ns)
    assert error_ms(fit(told), told, ppm, started_ns) < 0.6


@given(st.floats(-400, 400), st.integers(4, 70), st.integers(0, 2**32))
def test_half_of_the_reads_are_late_by_up_to_200_ms(ppm: float, seconds: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    late = chance.exponential(0.5e6, seconds * 50)
    late += np.where(chance.random(len(late)) < 0.5, chance.uniform(0, 200e6, len(late)), 0)
    told = points(seconds, ppm, late)
    assert error_ms(fit(told), told, ppm) < 1.5


@given(st.floats(-400, 400), st.integers(10, 70), st.integers(0, 2**32))
def test_a_busy_spell_of_a_third_of_the_time(ppm: float, seconds: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    late = chance.exponential(0.5e6, seconds * 50)
    begin = chance.integers(0, len(late) * 2 // 3)
    late[begin : begin + len(late) // 3] += 200e6
    told = points(seconds, ppm, late)
    assert error_ms(fit(told), told, ppm) < 1.5


def test_one_block_is_enough() -> None:
    line = fit([(4800, 7 * NS)])
    assert line.time_of(4800) == 7 * NS
    assert line.step_ns == NOMINAL_NS


def test_the_line_goes_both_ways_and_tells_the_clock() -> None:
    line = fit(points(60, 150, np.zeros(3000)))
    assert line.sample_at(line.time_of(123_456.5)) == pytest.approx(123_456.5)
    assert line.ppm == pytest.approx(150, abs=0.1)


def test_no_card_is_believed_to_be_off_by_a_thousandth() -> None:
    assert abs(fit(points(5, 5000, np.zeros(250))).ppm) == pytest.approx(500, rel=0.01)
