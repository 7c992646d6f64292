"""The clocks, and what may be believed of them.

CLOCK_MONOTONIC orders everything: frames, samples, presses. Wall time is only a label on a finished moment,
because a box without a network and without a battery does not know it, and says so.
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

RTC_AGREES_S = 5.0
"""A real-time clock counts whole seconds, and the kernel takes the middle of one for the system clock."""
RTC_DRIFT = 200e-6
"""How far two quartzes may run apart: 17 s a day. The system clock follows the board's, once it is set."""
_RTC_LOOK_NS = 10 * NS
"""Reading a real-time clock takes a transfer over I2C, or a question to the firmware: not for each fault in a list."""

_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def monotonic_ns() -> int:
    """Now, on CLOCK_MONOTONIC: the clock of libcamera's SensorTimestamp, V4L2 and ALSA's htimestamps."""
    return time.monotonic_ns()


@dataclass(frozen=True)
class WallTime:
    """What the wall clock said, and how far that is to be believed.

    It is `certain` where the network's time or a real-time clock that kept its time set it: then a moment gets a date.
    The first is right to a fraction of a second, the second as far as its quartz is (minutes a year). `from_stick`
    means that a stick's newest file told the day at least.
    """

    at: datetime
    certain: bool
    from_stick: bool = False


class _Forward:
    """What a stick told: how far the wall clock is ahead of CLOCK_MONOTONIC, at least.

    Not how far ahead of the system's clock, which a late real-time clock or timesyncd may still move.
    """

    def __init__(self) -> None:
        self.offset_ns: int | None = None


_forward = _Forward()


def wall_time(at_monotonic_ns: int | None = None) -> WallTime:
    """Return the wall time of an instant of CLOCK_MONOTONIC (default: now), in UTC.

    An instant in the past is converted with the difference of the two clocks *now*: if the wall clock was set
    in between, this is the better answer of the two.
    """
    now_ns = monotonic_ns()
    offset_ns = system_ns = time.time_ns() - now_ns
    certain = _kept_right()
    if not certain and _forward.offset_ns is not None:
        offset_ns = max(system_ns, _forward.offset_ns)
    at = datetime.fromtimestamp((offset_ns + (now_ns if at_monotonic_ns is None else at_monotonic_ns)) / NS, UTC)
    return WallTime(at, certain, from_stick=offset_ns > system_ns)


def take_forward(at: datetime) -> bool:
    """Believe that it is `at`, at least; False where that is not done.

    Never backward, never where something keeps the clock right, and never beyond what this program can live to see.
    Only what this process says of the time changes, not the system's clock.
    """
    if _kept_right() or not BUILT < at < BUILT + LIFETIME:
        return False
    if at <= wall_time().at:
        return False
    _forward.offset_ns = round(at.timestamp() * NS) - monotonic_ns()
    return True


def rtc_kept_time(rtc_s: int, system_s: float, uptime_s: float) -> bool:
    """Tell whether the real-time clock that set the system clock at boot had kept its time. Pure; Unix times.

    - One that was never set, or lost its battery, wakes up long before this was released: a Raspberry Pi 5's in 1970,
      the usual I2C chips in 2000 (some refuse to be read instead). One that went wrong may wake up anywhere: what this
      program cannot live to see is not believed either.
    - Only what is synchronized is written to it: by the kernel, every 11 minutes, from a clock that follows the
      network's, or by somebody who sets it. So one that is later than the release was set since it last stopped.
    - The system clock must still be the one that it set. timesyncd moves the clock forward where that is earlier than
      the time it noted last; then this was no time to believe.
    """
    known = BUILT.timestamp() < rtc_s < (BUILT + LIFETIME).timestamp()
    return known and abs(rtc_s + 0.5 - system_s) <= RTC_AGREES_S + uptime_s * RTC_DRIFT


class RealTimeClocks:
    """The real-time clocks of this board, from sysfs: their devices in /dev are root's only."""

    def __init__(self, directory: Path = Path("/sys/class/rtc")) -> None:
        self._directory = directory
        self._looked_ns: int | None = None
        self._kept_time = False

    def kept_time(self) -> bool:
        """Tell whether one of them set the system clock and had kept its time; looks every ten seconds at most."""
        now_ns = monotonic_ns()
        if self._looked_ns is None or now_ns - self._looked_ns >= _RTC_LOOK_NS:
            self._kept_time = any(self._is_right(rtc, now_ns) for rtc in self._directory.glob("rtc*"))
            self._looked_ns = now_ns
        return self._kept_time

    @staticmethod
    def _is_right(rtc: Path, now_ns: int) -> bool:
        """Tell whether the kernel took its time from `rtc` (`hctosys`, by default only from rtc0), and was right to.

        A clock whose oscillator has stopped cannot be read (EINVAL from most drivers): any error is a no.
        """
        try:
            if (rtc / "hctosys").read_text().strip() != "1":
                return False
            return rtc_kept_time(int((rtc / "since_epoch").read_text()), time.time(), now_ns / NS)
        except (OSError, ValueError):
            return False


_rtcs = RealTimeClocks()


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
    Without a network, a real-time clock with a battery may have kept the time.
    Other systems than Linux are somebody's computer, and keep their time.
    """
    return _SYNCHRONISED.exists() or _rtcs.kept_time() or not sys.platform.startswith("linux")
