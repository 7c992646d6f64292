"""The board's RAM: how much there is, and that its content stays in it. Linux only; elsewhere nothing is promised."""

import ctypes
import os
from pathlib import Path

from missed_moment.errors import MemoryLockError

# From <sys/mman.h>: what is there, what will come, and each page only once it is used.
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def lock() -> None:
    """Have the kernel never swap out a page of this process. Raises MemoryLockError where it does not allow that."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        number = ctypes.get_errno()
        raise MemoryLockError(
            number, f"memory cannot be locked ({os.strerror(number)}): let this user lock it (LimitMEMLOCK=infinity)"
        )


def total_bytes(proc: Path = Path("/proc")) -> int | None:
    """Return the board's memory as the kernel counts it (MemTotal), None where that is unknown."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    except (OSError, StopIteration, IndexError, ValueError):
        return None


def complaint(proc: Path = Path("/proc"), sysfs: Path = Path("/sys")) -> str | None:
    """Say where memory may be swapped to that outlasts a power cut; None where there is no such place.

    RAM that is used as swap (zram) is none, unless storage is behind it (`backing_dev` in the kernel's zram.rst).
    """
    try:
        lines = (proc / "swaps").read_text().splitlines()[1:]
    except OSError:
        return None
    places = [line.split()[0] for line in lines]
    if lasting := [place for place in places if not _in_ram(Path(place), sysfs)]:
        return f"memory may be swapped to {', '.join(lasting)}: the camera stays off until swap is (swapoff --all)"
    return None


def _in_ram(swap: Path, sysfs: Path) -> bool:
    if not swap.name.startswith("zram"):
        return False
    try:
        return (sysfs / "block" / swap.name / "backing_dev").read_text().strip() == "none"
    except FileNotFoundError:  # a kernel that cannot put storage behind it
        return (sysfs / "block" / swap.name).is_dir()
