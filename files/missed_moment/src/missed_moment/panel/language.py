"""The LED language, as data: what each signal looks like, and which one is shown.

A step is (brightness from 0 to 1, seconds). One plain LED on a digital pin is enough: a brightness between 0 and
1 only makes breathing look better where the pin can do it.

While frames arrive, every standing signal shows that: breathing and recording by themselves, the others by a blip (see
`while_filming`). No fault and no stick hides that somebody is filmed.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from missed_moment.health import Fault

Step = tuple[float, float]


@dataclass(frozen=True)
class Signal:
    """One thing the LED says.

    `steps` are repeated, unless the signal tells of something that happened `once`: that is shown whole before
    anything else, except for an `urgent` signal. That is the answer to a press, and due within 100 ms.
    """

    name: str
    steps: tuple[Step, ...]
    once: bool = False
    urgent: bool = False


def _blinks(count: int, on_s: float, off_s: float, pause_s: float = 0.0) -> tuple[Step, ...]:
    blinks = ((1.0, on_s), (0.0, off_s)) * count
    return (*blinks, (0.0, pause_s)) if pause_s else blinks


_DARK_FIRST: Step = (0.0, 0.4)
"""The LED was lit while something was saved or forgotten: without this, nobody would see the first blink begin."""
_BREATH = tuple((math.sin(math.pi * step / 20) ** 2, 0.1) for step in range(20))

OFF = Signal("off", ((0.0, 1.0),))
FILLING = Signal("filling", _BREATH)
_BLIP_S, _PERIOD_S = 0.08, 2.0
RECORDING = Signal("recording", ((1.0, _BLIP_S), (0.0, _PERIOD_S - _BLIP_S)))
_LIT_WITH_BLIP = ((1.0, _PERIOD_S - _BLIP_S), (0.0, _BLIP_S))
"""Where the LED is lit, the blip is dark."""
SAVING = Signal("saving", ((1.0, 1.0),), urgent=True)
KEPT = Signal("kept", (_DARK_FIRST, *_blinks(3, 0.12, 0.12, 0.4)), once=True)
STICK_DONE = Signal("stick done", ((1.0, 1.0),))
FORGOTTEN = Signal("forgotten", (_DARK_FIRST, *_blinks(2, 1.0, 0.4, 0.4)), once=True)
FAULTS = {fault: Signal(f"fault {fault.value}", _blinks(fault.value, 0.25, 0.25, 1.5)) for fault in Fault}


_PACES = 4
_SLOWEST_S, _FASTEST_S = 0.3, 0.1


_BURST = 12
"""Blinks of a copy between two blips: more than any fault has, for who counts them."""
_BEFORE_BLIP_S = 0.6
_AFTER_BLINKS_S, _AFTER_BLIP_S = 1.0, 1.25
"""Darkness that sets the blip apart from a fault's blinks: four times as much as there is between two of them."""


def copying(share: float) -> Signal:
    """Blink faster the more is copied: `share` from 0 to 1, in a few steps that a person can tell apart."""
    pace = min(_PACES - 1, int(share * _PACES)) / (_PACES - 1)
    return Signal("copying", _blinks(1, 0.1, _SLOWEST_S + (_FASTEST_S - _SLOWEST_S) * pace))


def while_filming(signal: Signal) -> Signal:
    """Return what a standing signal looks like while frames arrive; it keeps its name."""
    match signal.name.split():
        case ["copying"]:
            steps = (*signal.steps * _BURST, (0.0, _BEFORE_BLIP_S), (1.0, _BLIP_S), (0.0, _BEFORE_BLIP_S))
        case ["stick", "done"]:
            steps = _LIT_WITH_BLIP
        case ["fault", _]:
            blinks = signal.steps[:-1]
            steps = (*blinks, (0.0, _AFTER_BLINKS_S), (1.0, _BLIP_S), (0.0, _AFTER_BLIP_S))
        case _:
            return signal
    return replace(signal, steps=steps)


SIGNALS = (OFF, FILLING, RECORDING, SAVING, KEPT, copying(0.0), STICK_DONE, FORGOTTEN, *FAULTS.values())
"""All there are, of a copy the beginning: the card to print and the page of troubles explain each of them."""


class Stick(Enum):
    """How far a stick is."""

    NONE = "none"
    COPYING = "copying"
    DONE = "done"
    FAILED = "failed"  # it is in, and something is wrong: a fault says so


@dataclass(frozen=True)
class Situation:
    """All that the choice of a signal depends on; `copied` is which share of a copy is made."""

    camera: Literal["off", "filling", "recording"]
    saving: bool = False
    stick: Stick = Stick.NONE
    copied: float = 0.0
    faults: Iterable[Fault] = ()


def choose(situation: Situation) -> Signal:
    """Choose the one signal that is shown: what a person just asked for first, then what is wrong."""
    signal = _choose(situation)
    return signal if situation.camera == "off" else while_filming(signal)


def _choose(situation: Situation) -> Signal:
    if situation.saving:
        return SAVING
    if situation.stick is Stick.COPYING:
        return copying(situation.copied)
    if situation.stick is Stick.DONE:
        return STICK_DONE
    if faults := sorted(situation.faults):
        return FAULTS[faults[0]]
    return {"off": OFF, "filling": FILLING, "recording": RECORDING}[situation.camera]
