"""What a store may do to whoever uses it, at one call of many: full, read-only, an error of the device."""

import errno
import io
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from missed_moment.durable import Disk
from rig import WRITES, FullDisk, HookedDisk

CHANGES = WRITES | {"open", "pwrite", "truncate", "remove"}
"""The calls that a read-only file system refuses."""
_READS = ("open", "read", "pread", "scandir", "stat")


class Counter:
    """Counts calls in all threads."""

    def __init__(self) -> None:
        self._numbers, self._lock = itertools.count(), threading.Lock()
        self.calls = 0

    def next(self) -> int:
        with self._lock:
            self.calls = next(self._numbers) + 1
            return self.calls - 1


class CountingDisk(HookedDisk):
    """A disk that works, and counts its calls by kind: those that may need room, that change anything, and all."""

    def __init__(self) -> None:
        super().__init__(self._count)
        self.writes, self.changes, self.calls = Counter(), Counter(), Counter()

    def _count(self, call: str, _: tuple[Any, ...]) -> None:
        self.calls.next()
        if call in CHANGES:
            self.changes.next()
        if call in WRITES:
            self.writes.next()


class ReadOnlyDisk(HookedDisk):
    """A disk that is remounted read-only at one of the calls that change something, and stays so."""

    def __init__(self, at: int) -> None:
        super().__init__(self._refuse)
        self._at, self._counter = at, Counter()

    def _refuse(self, call: str, arguments: tuple[Any, ...]) -> None:
        if call in CHANGES and self._counter.next() >= self._at:
            raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))
        if call == "free" and self._counter.calls > self._at:
            raise OSError(errno.EROFS, "Read-only file system")


class BrokenCallDisk(HookedDisk):
    """A disk that fails one call, whichever that is, with an error of the device."""

    def __init__(self, at: int) -> None:
        super().__init__(self._fail)
        self._at, self._counter = at, Counter()

    def _fail(self, _: str, arguments: tuple[Any, ...]) -> None:
        if self._counter.next() == self._at:
            raise OSError(errno.EIO, "Input/output error", str(arguments[0]))


DISKS: dict[str, Callable[[int], Disk]] = {
    "full, until a moment is deleted": FullDisk,
    "full for good": lambda at: FullDisk(at, relents=False),
    "read-only": ReadOnlyDisk,
    "an error of the device": BrokenCallDisk,
}


@contextmanager
def broken_read(store: Path, at: int | None) -> Iterator[Counter]:
    """Fail one of the reads below `store`, by whatever call of the system; yields how many there were."""
    counter, below = Counter(), f"{store}/"

    def path_of(argument: Any) -> str:
        if isinstance(argument, int):
            try:
                return str(Path(f"/proc/self/fd/{argument}").readlink())
            except OSError:
                return ""
        return os.fsdecode(argument) if isinstance(argument, str | bytes | os.PathLike) else ""

    def broken(call: Callable[..., Any]) -> Callable[..., Any]:
        def read(*arguments: Any, **options: Any) -> Any:
            path = path_of(arguments[0] if arguments else ".")
            writes = call is opened and len(arguments) > 1 and arguments[1] & (os.O_RDWR | os.O_WRONLY)
            if f"{path}/".startswith(below) and not writes and counter.next() == at:
                raise OSError(errno.EIO, "Input/output error", path)
            return call(*arguments, **options)

        return read

    opened = os.open
    calls = {name: broken(getattr(os, name)) for name in _READS}
    with mock.patch.multiple(os, **calls), mock.patch.object(io, "open", broken(io.open)):
        yield counter
