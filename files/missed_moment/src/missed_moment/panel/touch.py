"""From the edges of a bouncing contact to what a finger meant. Pure; times are nanoseconds of CLOCK_MONOTONIC.

The first edge counts at once. Bounce is a lock-out after it, never a delay before it: a contact that chatters, or
a press shorter than the lock-out, is still one press at its very first edge.

Edges may be lost (raspberrypi/linux#5457) or come late, so none of them makes a hold: only a contact that is read as
still closed does. Each press ends in one release or in one hold.
"""

from dataclasses import dataclass

from missed_moment.clock import NS

HOLD_NS = 3 * NS
"""A press this long means "forget"."""


@dataclass(frozen=True)
class Press:
    """The button went down at `at_ns`."""

    at_ns: int


@dataclass(frozen=True)
class Hold:
    """It has been down since `since_ns`, for `HOLD_NS`."""

    since_ns: int


@dataclass(frozen=True)
class Release:
    """The button that went down at `since_ns` was released before that became a hold."""

    since_ns: int


Touch = Press | Hold | Release


class TouchGrammar:
    """Edges in, touches out. Calls must come in the order of their times."""

    def __init__(self, lockout_ms: int) -> None:
        self._lockout_ns = lockout_ms * 1_000_000
        self._down_ns: int | None = None
        self._up_ns: int | None = None  # when it seemed to be let go; believed once the lock-out has passed
        self._held = False

    def edge(self, now_ns: int, pressed: bool) -> list[Touch]:
        """The contact changed to `pressed`."""
        touches = self._settle(now_ns)
        if not pressed:
            if self._down_ns is not None and self._up_ns is None:
                self._up_ns = now_ns
        elif self._down_ns is None:
            self._down_ns, self._held = now_ns, False
            touches.append(Press(now_ns))
        else:
            self._up_ns = None  # it bounced
        return touches

    def tick(self, now_ns: int, pressed: bool) -> list[Touch]:
        """Time passed, and the contact was read: a hold may be due, a release certain, or a release's edge lost."""
        touches = self._settle(now_ns)
        if self._down_ns is None or self._up_ns is not None:
            return touches
        if not pressed:
            self._up_ns = now_ns
        elif not self._held and now_ns - self._down_ns >= HOLD_NS:
            self._held = True
            touches.append(Hold(self._down_ns))
        return touches

    def _settle(self, now_ns: int) -> list[Touch]:
        """Believe a release once the lock-out has passed."""
        if self._down_ns is None or self._up_ns is None:
            return []
        if now_ns - max(self._up_ns, self._down_ns) < self._lockout_ns:
            return []
        released: list[Touch] = [] if self._held else [Release(self._down_ns)]
        self._down_ns = self._up_ns = None
        return released

    def deadline_ns(self) -> int | None:
        """When `tick` is to be called next; None where only an edge can change anything."""
        if self._down_ns is None:
            return None
        if self._up_ns is not None:
            return self._up_ns + self._lockout_ns
        return None if self._held else self._down_ns + HOLD_NS
