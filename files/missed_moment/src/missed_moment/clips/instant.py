"""One instant, on both clocks: how much time has passed since is then known, or known not to be."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from missed_moment import clock
from missed_moment.clock import NS


@dataclass(frozen=True)
class Instant:
    """Wall time, whether that was certain, and CLOCK_MONOTONIC (ns) of the boot `boot_id` (empty: not known)."""

    at: datetime
    certain: bool = False
    boot_id: str = ""
    monotonic_ns: int = 0

    @classmethod
    def now(cls) -> Self:
        """Read the clocks."""
        wall = clock.wall_time()
        return cls(wall.at, wall.certain, clock.boot_id(), clock.monotonic_ns())

    def since(self, before: "Instant") -> timedelta:
        """Return how much time has passed since `before`, at least.

        Within one boot, CLOCK_MONOTONIC is the measure, which is never set. After an earlier boot, wall times are
        compared if both were certain: otherwise the network, or the newest file on a stick, may have moved the clock by
        any amount. At least the time since this boot began has passed.
        """
        if not before.boot_id:
            return timedelta(0)
        if self.boot_id == before.boot_id:
            return timedelta(microseconds=(self.monotonic_ns - before.monotonic_ns) // 1000)
        up = timedelta(seconds=self.monotonic_ns / NS)
        return max(up, self.at - before.at) if self.certain and before.certain else up
