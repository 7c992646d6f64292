"""Mounting, by the kernel's own calls. Linux only.

Not the program `mount`: it refuses anybody but root, capability or not, and may run helpers (FUSE drivers) that
are found by the name of a file system.
"""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

# From <sys/mount.h> and <linux/mount.h>.
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_NOATIME, _MS_NOSYMFOLLOW = (1 << bit for bit in (0, 1, 2, 3, 10, 8))
_SAFE = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_NOATIME | _MS_NOSYMFOLLOW
_MNT_DETACH = 1 << 1
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4  # <linux/prctl.h>

_libc = ctypes.CDLL(None, use_errno=True)


def mount(node: Path, place: Path, filesystem: str, options: str, read_only: bool = False) -> None:
    """Mount `node` at `place` as the file system it is said to be, and no other. Raises OSError.

    `options` are the file system driver's own.
    """
    flags = ctypes.c_ulong(_SAFE | (_MS_RDONLY if read_only else 0))
    if _libc.mount(bytes(node), bytes(place), filesystem.encode(), flags, options.encode()):
        raise _error(node)


def unmount(place: Path) -> None:
    """Unmount, and return when everything is written. Raises OSError."""
    if _libc.umount2(bytes(place), 0):
        raise _error(place)


def detach(place: Path) -> None:
    """Unmount what is broken or gone: never waits, never fails, and writes what still can be written."""
    _libc.umount2(bytes(place), _MNT_DETACH)


def keep_capabilities_from_programs() -> None:
    """Make programs that this thread starts from now on begin without the capability that lets it mount.

    systemd gave that as an ambient capability, which programs inherit. The thread itself keeps it: the ambient set
    matters to execve only, see capabilities(7). Root's programs have all capabilities whatever is done here.
    """
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


def numbers_in_use() -> set[tuple[int, int]]:
    """Return (major, minor) of each device that this system has mounted, or swaps to."""
    mountinfo = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    numbers = {tuple(map(int, line.split()[2].split(":"))) for line in mountinfo.splitlines()}
    for line in Path("/proc/swaps").read_text().splitlines()[1:]:
        with suppress(OSError):  # a file; then the disk it lies on is mounted
            swap = Path(line.split()[0]).stat()
            numbers.add((os.major(swap.st_rdev), os.minor(swap.st_rdev)))
    return {(major, minor) for major, minor in numbers}


def _error(path: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(path))
