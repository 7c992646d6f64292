"""The clocks, and what may be believed of them.

CLOCK_MONOTONIC orders everything: frames, samples, presses. Wall time is only a label on a finished moment,
because a box without a network often does not know it, and says so.
"""

import ctypes
import sys
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NS = 1_000_000_000
"""Nanoseconds in a second."""

_STA_UNSYNC = 0x0040  # <linux/timex.h>
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def monotonic_ns() -> int:
    """Now, on CLOCK_MONOTONIC: the clock of libcamera's SensorTimestamp, V4L2 and ALSA's htimestamps."""
    return time.monotonic_ns()


@dataclass(frozen=True)
class WallTime:
    """What the wall clock said, and whether something keeps that clock right."""

    at: datetime
    certain: bool


def wall_time(at_monotonic_ns: int | None = None) -> WallTime:
    """Return the wall time of an instant of CLOCK_MONOTONIC (default: now), in UTC.

    An instant in the past is converted with the difference of the two clocks *now*: if the wall clock was set
    in between, this is the better answer of the two.
    """
    age_ns = 0 if at_monotonic_ns is None else monotonic_ns() - at_monotonic_ns
    return WallTime(datetime.fromtimestamp((time.time_ns() - age_ns) / NS, UTC), _kept_right())


def boot_id() -> str:
    """Return the kernel's id of this boot; without one (not Linux), an id of this process."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return str(_PROCESS_ID)


_PROCESS_ID = uuid.uuid4()


def _kept_right() -> bool:
    """Tell whether the kernel holds its clock for synchronised: what `timedatectl` shows.

    Any time daemon and a battery-backed clock that is disciplined end up in the kernel's own flag, so no
    daemon has to be asked. Other systems than Linux are somebody's computer, and keep their time.
    """
    if not sys.platform.startswith("linux"):
        return True
    # struct timex: `status` is the fifth long (modes, offset, freq, maxerror, esterror, status), and with
    # modes = 0 the kernel only reads; 512 bytes are more than it has ever been.
    timex = ctypes.create_string_buffer(512)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(timex) < 0:
        return False
    word = ctypes.sizeof(ctypes.c_long)
    status = int.from_bytes(timex.raw[5 * word : 5 * word + 4], sys.byteorder, signed=True)
    return not status & _STA_UNSYNC
