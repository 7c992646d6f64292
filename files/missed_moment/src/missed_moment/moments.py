"""The press grammar: presses in, windows of time out. Pure logic; times are nanoseconds of CLOCK_MONOTONIC.

- A press opens a window: `before_s` back, `after_s` ahead.
- A press inside an open window lets it grow, up to `limit_s` in all. A press that would need more closes it
  there and opens another, with its full history: the two overlap, and nothing lies between them.
- A window that has passed its end is closed; whether it is still being written makes no difference here.
- Forgetting closes an open window at that instant. A forgetting that began as a press (press and hold)
  withdraws the window that this press opened.
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
    """Start keeping `window`: its history now, the rest as it comes."""

    window: Window


@dataclass(frozen=True)
class Close:
    """Nothing captured at or after `window.end_ns` belongs to the moment that is open."""

    window: Window


@dataclass(frozen=True)
class Withdraw:
    """What the press at `press_ns` opened is not wanted after all."""

    press_ns: int


@dataclass(frozen=True)
class Forget:
    """Everything that no press asked for goes now."""


Action = Open | Close | Withdraw | Forget


class PressGrammar:
    """Turns presses and passing time into actions. Calls must come in the order of their times."""

    def __init__(self, before_s: float, after_s: float, limit_s: float) -> None:
        self._before_ns = round(before_s * NS)
        self._after_ns = round(after_s * NS)
        # A limit below what one press asks for would turn every second press into a moment of its own.
        self._limit_ns = max(round(limit_s * NS), self._before_ns + self._after_ns)
        self._open: Window | None = None
        self._opened_by: int | None = None

    @property
    def window(self) -> Window | None:
        """The window that is open."""
        return self._open

    def press(self, now_ns: int) -> list[Action]:
        """Someone pressed."""
        actions = self.tick(now_ns)
        if self._open is not None:
            end_ns = now_ns + self._after_ns
            if end_ns - self._open.start_ns <= self._limit_ns:
                self._open = replace(self._open, end_ns=end_ns, presses=(*self._open.presses, now_ns))
                return actions
            actions += self._close(now_ns)
        self._open = Window(now_ns - self._before_ns, now_ns + self._after_ns, (now_ns,))
        self._opened_by = now_ns
        return [*actions, Open(self._open)]

    def tick(self, now_ns: int) -> list[Action]:
        """Time passed."""
        if self._open is None or now_ns < self._open.end_ns:
            return []
        return self._close(self._open.end_ns)

    def end(self, now_ns: int) -> list[Action]:
        """Whatever is open ends now at the latest."""
        return self.tick(now_ns) or (self._close(now_ns) if self._open is not None else [])

    def forget(self, now_ns: int, held_since_ns: int | None = None) -> list[Action]:
        """Someone wants the last minute gone; `held_since_ns` is the press that became a hold, if one did."""
        actions = self.end(now_ns)
        if held_since_ns is not None and held_since_ns == self._opened_by:
            actions.append(Withdraw(held_since_ns))
        return [*actions, Forget()]

    def _close(self, end_ns: int) -> list[Action]:
        assert self._open is not None  # noqa: S101 - both callers looked
        closed, self._open = replace(self._open, end_ns=end_ns), None
        return [Close(closed)]
