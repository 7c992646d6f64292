"""The press grammar: presses in, windows of time out. Pure logic; times are nanoseconds of CLOCK_MONOTONIC.

- A press opens a window: `before_s` back, `after_s` ahead.
- A press inside an open window lets it grow, up to `limit_s` in all. A press that would need more closes it
  there and opens another, with its full history: the two overlap, and nothing lies between them.
- A window that has passed its end is closed; whether it is still being written makes no difference here.
- A press of the button is undecided until the button is released: it may become a hold. What it opened is taken at
  once and written only when the press counts: at the release, or `undecided_s` after it if no release was seen.
- Forgetting closes an open window at that instant, and discards it. A hold discards what its own press opened, too.
"""

from dataclasses import dataclass, replace

from missed_moment.clock import NS


@dataclass(frozen=True)
class Window:
    """A stretch of time to keep, and the presses that asked for it."""

    start_ns: int
    end_ns: int
    presses: tuple[int, ...]


@dataclass(frozen=True)
class Open:
    """Take `window` into RAM: its history now, the rest as it comes."""

    window: Window


@dataclass(frozen=True)
class Write:
    """The press that opened the last window counts: write that window."""


@dataclass(frozen=True)
class Close:
    """Nothing captured at or after `window.end_ns` belongs to the moment that is open."""

    window: Window


@dataclass(frozen=True)
class Wipe:
    """Everything that no press asked for goes now."""


Action = Open | Write | Close | Wipe


class PressGrammar:
    """Turns presses and passing time into actions. Calls must come in the order of their times."""

    def __init__(self, before_s: float, after_s: float, limit_s: float, undecided_s: float = 0.0) -> None:
        """Set up; `undecided_s` is how long the release of a button is waited for."""
        self._before_ns = round(before_s * NS)
        self._after_ns = round(after_s * NS)
        # A limit below what one press asks for would turn every second press into a moment of its own.
        self._limit_ns = max(round(limit_s * NS), self._before_ns + self._after_ns)
        self._undecided_ns = round(undecided_s * NS)
        self._open: Window | None = None
        self._unwritten = False
        self._down_ns: int | None = None

    @property
    def window(self) -> Window | None:
        """The window that is open."""
        return self._open

    @property
    def unwritten(self) -> bool:
        """Whether the window that was opened last has been taken, and is not to be written yet."""
        return self._unwritten

    @property
    def decision_ns(self) -> int | None:
        """When an undecided press counts at the latest; None if none is undecided."""
        return None if self._down_ns is None else self._down_ns + self._undecided_ns

    def press(self, now_ns: int, *, down: bool = False) -> list[Action]:
        """Someone pressed. It counts at once, unless the button is still `down`. An earlier press counts now."""
        actions = [*self.tick(now_ns), *self.decide()]
        self._down_ns = now_ns if down else None
        if self._open is not None:
            end_ns = now_ns + self._after_ns
            if end_ns - self._open.start_ns <= self._limit_ns:
                self._open = replace(self._open, end_ns=end_ns, presses=(*self._open.presses, now_ns))
                return actions
            actions += self._close(now_ns)
        self._open = Window(now_ns - self._before_ns, now_ns + self._after_ns, (now_ns,))
        self._unwritten = True
        return [*actions, Open(self._open), *([] if down else self.decide())]

    def release(self, press_ns: int) -> list[Action]:
        """The button that went down at `press_ns` was released before that became a hold."""
        return self.decide() if press_ns == self._down_ns else []

    def decide(self) -> list[Action]:
        """A press that is undecided counts now."""
        write: list[Action] = [Write()] if self._unwritten else []
        self._unwritten, self._down_ns = False, None
        return write

    def tick(self, now_ns: int) -> list[Action]:
        """Time passed."""
        actions: list[Action] = []
        if self._open is not None and now_ns >= self._open.end_ns:
            actions += self._close(self._open.end_ns)
        if self.decision_ns is not None and now_ns >= self.decision_ns:
            actions += self.decide()
        return actions

    def end(self, now_ns: int) -> list[Action]:
        """Whatever is open ends now at the latest."""
        actions = self.tick(now_ns)
        return actions if self._open is None else [*actions, *self._close(now_ns)]

    def wipe(self, now_ns: int) -> list[Action]:
        """The last minute goes; what a press asked for ends now, and stays."""
        return [*self.end(now_ns), Wipe()]

    def forget(self, now_ns: int) -> list[Action]:
        """Someone wants the last minute gone, and what is being made of it. A press that is undecided never counts."""
        self._unwritten, self._down_ns = False, None
        return self.wipe(now_ns)

    def _close(self, end_ns: int) -> list[Action]:
        assert self._open is not None  # noqa: S101 - both callers looked
        closed, self._open = replace(self._open, end_ns=end_ns), None
        return [Close(closed)]
