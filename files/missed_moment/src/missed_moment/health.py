"""What is wrong now. One LED, the status and the watchdog are fed from here."""

import logging
import threading
from enum import IntEnum

log = logging.getLogger(__name__)


class Fault(IntEnum):
    """The faults there are; the value is how often the LED blinks."""

    CAMERA = 2
    STORAGE_FULL = 3
    STICK = 4
    MICROPHONE = 5
    SAVE_FAILED = 6
    SETTINGS = 7
    HOT = 8


class Health:
    """The faults that stand, each with its message. Any thread may raise and clear them."""

    def __init__(self) -> None:
        self._faults: dict[Fault, str] = {}
        self._lock = threading.Lock()

    def report(self, fault: Fault, message: str) -> None:
        """A fault stands; repeating it with the same message changes nothing and is not logged again."""
        with self._lock:
            known = self._faults.get(fault)
            self._faults[fault] = message
        if known != message:
            log.error("%s", message)

    def clear(self, fault: Fault) -> None:
        """A fault is over."""
        with self._lock:
            known = self._faults.pop(fault, None)
        if known is not None:
            log.info("over: %s", known)

    def faults(self) -> dict[Fault, str]:
        """All that is wrong, the lowest number first."""
        with self._lock:
            return dict(sorted(self._faults.items()))
