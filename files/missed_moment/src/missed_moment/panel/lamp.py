"""Playing signals on a lamp."""

import logging
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from missed_moment.panel.language import OFF, Signal

log = logging.getLogger(__name__)


class Lamp(Protocol):
    """Something that shines."""

    def shine(self, level: float) -> None:
        """Shine at `level`, from 0 (dark) to 1."""


class BoardLamp:
    """The board's own ACT LED, through the kernel's LED class; on or off only."""

    def __init__(self, directory: Path = Path("/sys/class/leds/ACT")) -> None:
        self._brightness = directory / "brightness"

    def shine(self, level: float) -> None:
        """Switch on from half brightness up. A board without this LED, or one that is not ours, stays dark."""
        try:
            self._brightness.write_text("1" if level >= 0.5 else "0")
        except OSError as error:
            log.debug("the board's LED stays as it is (%s)", error)


class Signaller:
    """Plays one standing signal, over and over, and at once what happened just now. Never makes its caller wait."""

    def __init__(self, lamps: list[Lamp]) -> None:
        self._lamps = lamps
        self._standing: Signal = OFF
        self._once: deque[Signal] = deque()
        self._urgencies = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._play, name="signaller", daemon=True)
        self._thread.start()

    def show(self, signal: Signal) -> None:
        """Make `signal` the standing one, or play it first where it is one that happens once."""
        with self._changed:
            if signal.once:
                # At most one of each: what happened a thousand times is shown once, and the latest last.
                self._once = deque([*(other for other in self._once if other != signal), signal])
            elif signal == self._standing:
                return
            else:
                self._standing = signal
            if signal.urgent:
                self._once.clear()
                self._urgencies += 1
            self._changed.notify()

    def stop(self) -> None:
        """Go dark and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _play(self) -> None:
        while not self._stopped:
            with self._changed:
                signal = self._once.popleft() if self._once else self._standing
                urgencies = self._urgencies
            for level, seconds in signal.steps:
                for lamp in self._lamps:
                    lamp.shine(level)
                if self._interrupted(signal, urgencies, seconds):
                    break
        for lamp in self._lamps:
            lamp.shine(0.0)

    def _interrupted(self, signal: Signal, urgencies: int, seconds: float) -> bool:
        """Wait for a step to pass; True when something else is to be shown."""

        def something_else() -> bool:
            superseded = not signal.once and (bool(self._once) or self._standing != signal)
            return self._stopped or superseded or self._urgencies != urgencies

        with self._changed:
            return self._changed.wait_for(something_else, seconds)
