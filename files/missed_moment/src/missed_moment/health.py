"""What is wrong now. One LED, the status and the watchdog are fed from here."""

import logging
import threading
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from missed_moment import clock

log = logging.getLogger(__name__)

_HISTORY = 100
"""How many faults are remembered."""


class Fault(IntEnum):
    """The faults there are; the value is how often the LED blinks."""

    CAMERA = 2
    STORAGE_FULL = 3
    STICK = 4
    MICROPHONE = 5
    SAVE_FAILED = 6
    SETTINGS = 7
    HOT = 8
    EXPOSED = 9


@dataclass(frozen=True)
class Noted:
    """A fault began, or was over; `at_ns` of CLOCK_MONOTONIC."""

    at_ns: int
    fault: Fault
    message: str
    over: bool


class Health:
    """The faults that stand, each with its message, and what there was of late. Any thread may raise and clear them."""

    def __init__(self) -> None:
        self._faults: dict[tuple[Fault, str], str] = {}
        self._history: deque[Noted] = deque(maxlen=_HISTORY)
        self._lock = threading.Lock()

    def report(self, fault: Fault, message: str, part: str = "") -> None:
        """A fault stands; repeating it with the same message changes nothing and is not logged again.

        `part` tells apart what can go wrong at the same time under one fault: each part is cleared by itself.
        """
        with self._lock:
            known = self._faults.get((fault, part))
            self._faults[fault, part] = message
            if known != message:
                self._history.append(Noted(clock.monotonic_ns(), fault, message, over=False))
        if known != message:
            log.error("%s", message)

    def clear(self, fault: Fault, part: str = "") -> None:
        """A fault is over."""
        with self._lock:
            known = self._faults.pop((fault, part), None)
            if known is not None:
                self._history.append(Noted(clock.monotonic_ns(), fault, known, over=True))
        if known is not None:
            log.info("over: %s", known)

    def faults(self) -> dict[Fault, str]:
        """All that is wrong, the lowest number first; a line for each part."""
        with self._lock:
            standing = sorted(self._faults.items())
        return {
            fault: "\n".join(message for (other, _), message in standing if other is fault)
            for fault, _ in dict.fromkeys(key for key, _ in standing)
        }

    def history(self) -> list[Noted]:
        """What there was since the start, the oldest first; no more than the last hundred."""
        with self._lock:
            return list(self._history)
