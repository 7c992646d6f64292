"""The clocks, and what may be believed of them.

CLOCK_MONOTONIC orders everything: frames, samples, presses. Wall time is only a label on a finished moment,
because a box without a network often does not know it, and says so.
"""

import sys
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

NS = 1_000_000_000
"""Nanoseconds in a second."""

BUILT = datetime(2026, 11, 24, tzinfo=UTC)
"""When this was released: it is never earlier than that."""
LIFETIME = timedelta(days=20 * 365)

_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def monotonic_ns() -> int:
    """Now, on CLOCK_MONOTONIC: the clock of libcamera's SensorTimestamp, V4L2 and ALSA's htimestamps."""
    return time.monotonic_ns()


@dataclass(frozen=True)
class WallTime:
    """What the wall clock said; whether something keeps it right, or at least a stick told what time it may be."""

    at: datetime
    certain: bool
    from_stick: bool = False


class _Forward:
    """How far the wall clock is behind what a stick told: a board without a battery wakes up in the past."""

    def __init__(self) -> None:
        self.ahead_ns = 0


_forward = _Forward()


def wall_time(at_monotonic_ns: int | None = None) -> WallTime:
    """Return the wall time of an instant of CLOCK_MONOTONIC (default: now), in UTC.

    An instant in the past is converted with the difference of the two clocks *now*: if the wall clock was set
    in between, this is the better answer of the two.
    """
    age_ns = 0 if at_monotonic_ns is None else monotonic_ns() - at_monotonic_ns
    certain = _kept_right()
    ahead_ns = 0 if certain else _forward.ahead_ns
    at = datetime.fromtimestamp((time.time_ns() + ahead_ns - age_ns) / NS, UTC)
    return WallTime(at, certain, from_stick=bool(ahead_ns))


def take_forward(at: datetime) -> bool:
    """Believe that it is `at`, at least; False where that is not done.

    Never backward, never where something keeps the clock right, and never beyond what this program can live to see.
    Only what this process says of the time changes, not the system's clock.
    """
    if _kept_right() or not BUILT < at < BUILT + LIFETIME:
        return False
    ahead_ns = round(at.timestamp() * NS) - time.time_ns()
    if ahead_ns <= _forward.ahead_ns:
        return False
    _forward.ahead_ns = ahead_ns
    return True


def zone(name: str) -> tzinfo | None:
    """Return the time zone of a name, as in Europe/Berlin; None where this system knows none of that name."""
    if name == "UTC":  # known without any data
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def boot_id() -> str:
    """Return the kernel's id of this boot; without one (not Linux), an id of this process."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(_PROCESS_ID)


_PROCESS_ID = uuid.uuid4()


def _kept_right() -> bool:
    """Tell whether something keeps the wall clock right.

    systemd-timesyncd says so with a file (its manual, "Files"). The kernel's own flag (adjtimex) would also tell of
    other daemons, but whoever may not set the clock may not ask for it either: `ProtectClock=` forbids the call.
    Other systems than Linux are somebody's computer, and keep their time.
    """
    return _SYNCHRONISED.exists() or not sys.platform.startswith("linux")
