"""The LED is read as the card says, also when light and darkness are a little late."""

import random

import pytest

from machines.led import Edge, read

Steps = list[tuple[float, float]]
"""Brightness from 0 to 1, and seconds."""

RECORDING: Steps = [(1, 0.08), (0, 1.92)] * 3
SOLID: Steps = [(1, 4.0)]
KEPT: Steps = [(0.0, 0.4), *[(1.0, 0.12), (0.0, 0.12)] * 3, (0.0, 0.4)]
COPYING: Steps = [(1, 0.1), (0, 0.1)] * 8
FORGOTTEN: Steps = [(0.0, 0.4), *[(1.0, 1.0), (0.0, 0.4)] * 2, (0.0, 0.4)]
BREATH: Steps = [(level / 10, 0.1) for level in (0, 1, 3, 6, 9, 10, 9, 6, 3, 1)] * 3


def fault(number: int) -> Steps:
    """Return what a fault looks like, shown three times."""
    return [*[(1.0, 0.25), (0.0, 0.25)] * number, (0.0, 1.5)] * 3


BURSTS: Steps = [*[(1.0, 0.1), (0.0, 0.2)] * 12, (0.0, 0.6), (1.0, 0.08), (0.0, 0.6)] * 2
SOLID_FILMING: Steps = [(1.0, 1.92), (0.0, 0.08)] * 3
"""While it films, there is a blip in each of them."""


def fault_filming(number: int) -> Steps:
    """Return what a fault looks like while it films, shown three times."""
    return [*[(1.0, 0.25), (0.0, 0.25)] * number, (0.0, 1.0), (1.0, 0.08), (0.0, 1.25)] * 3


def edges(steps: Steps, late_s: float = 0.0) -> tuple[list[Edge], float]:
    """Return the edges of `steps`, each up to `late_s` too long, dimmed at 100 Hz; and when they end."""
    chance = random.Random(1)  # noqa: S311 - nothing is secret here
    now_s, made = 0.0, []
    for level, seconds in steps:
        length_s = seconds + chance.uniform(0, late_s)
        if level in {0, 1}:
            made.append((now_s, level == 1))
        else:
            for cycle in range(round(length_s * 100)):
                made += [(now_s + cycle / 100, True), (now_s + cycle / 100 + level / 100, False)]
        now_s += length_s
    return made, now_s


A_DAY = [*RECORDING[:-1], (0, 0.9), (1, 1.5), *KEPT, *RECORDING, *COPYING, *SOLID, *RECORDING[:2], *fault(4)]
"""Film, press, plug in a stick and pull it, and something is wrong."""


@pytest.mark.parametrize("late_s", [0.0, 0.03, 0.2])
@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (RECORDING, ["recording"]),
        (SOLID, ["solid"]),
        (BREATH, ["filling"]),
        (COPYING, ["copying"]),
        (RECORDING + FORGOTTEN + RECORDING, ["recording", "forgotten", "recording"]),
        (RECORDING + SOLID + KEPT + SOLID + RECORDING, ["recording", "solid", "kept", "solid", "recording"]),
        (BREATH + SOLID + KEPT + SOLID + BREATH, ["filling", "solid", "kept", "solid", "filling"]),
        (SOLID + FORGOTTEN + BREATH, ["solid", "forgotten", "filling"]),
        (RECORDING + COPYING + SOLID, ["recording", "copying", "solid"]),
        ([*RECORDING, (0, 4.0)], ["recording", "off"]),
        (SOLID + fault(6) + RECORDING, ["solid", "fault 6", "recording"]),
        *((fault(number), [f"fault {number}"]) for number in range(2, 10)),
        (BURSTS, ["copying"]),
        (RECORDING + BURSTS + SOLID_FILMING + RECORDING, ["recording", "copying", "solid", "recording"]),
        (RECORDING + BURSTS[:-4] + SOLID_FILMING, ["recording", "copying", "solid"]),
        (RECORDING + BURSTS[:29] + fault_filming(4), ["recording", "copying", "fault 4"]),
        (SOLID_FILMING + fault_filming(6) + RECORDING, ["solid", "fault 6", "recording"]),
        *((fault_filming(number), [f"fault {number}"]) for number in range(2, 10)),
        *((fault(number) + fault_filming(number), [f"fault {number}"]) for number in (2, 9)),
    ],
)
def test_everything_on_the_card_is_read(steps: Steps, said: list[str], late_s: float) -> None:
    """Each thing by itself, and the ways in which they follow each other."""
    assert read(*edges(steps, late_s)) == said


@pytest.mark.parametrize("late", range(len(A_DAY)))
def test_any_one_stretch_may_be_very_late(late: int) -> None:
    """Among others that are on time, it is read as what it was meant to be."""
    steps = [(level, seconds + (0.5 if at == late else 0.0)) for at, (level, seconds) in enumerate(A_DAY)]
    assert read(*edges(steps)) == [
        *("recording", "solid", "kept", "recording"),
        *("copying", "solid", "recording", "fault 4"),
    ]


def test_what_is_still_being_said_is_not_guessed() -> None:
    """A fault whose blinks are not over may become another."""
    made, _ = edges(fault(6))
    assert read(made[:5], made[5][0]) == []


def test_nothing_seen_is_nothing_said() -> None:
    """A LED that never changed says nothing."""
    assert read([], 10.0) == []
