"""What it takes until data is on the disk, in one place.

`Disk` is all that the clip store asks of an operating system, so that tests can put a failing, slow or stopped
one in its place. It promises no more than the calls it is named after: `sync` returns when the device has
acknowledged file data and size; a name is durable only after `sync_directory` of the directory that holds it.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

Data = bytes | memoryview

_IOV_MAX = 1024  # the least that POSIX systems take in one writev
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_ZEROS = bytes(1024 * 1024)


class Disk(Protocol):
    """The calls that reach storage. Each raises OSError as its system call does."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist yet, mode 0640, and return its descriptor for read and write."""

    def open(self, path: Path) -> int:
        """Open an existing file for read and write; a symbolic link is refused."""

    def writev(self, descriptor: int, buffers: Sequence[Data]) -> int:
        """Write at the current position; returns the bytes written, which may be fewer than offered."""

    def pwrite(self, descriptor: int, data: Data, offset: int) -> int:
        """Write at `offset`, leaving the position alone."""

    def truncate(self, descriptor: int, size: int) -> None:
        """Set the length of a file."""

    def sync(self, descriptor: int) -> None:
        """Return when data and size of a file are on the device."""

    def close(self, descriptor: int) -> None:
        """Close a descriptor. Says nothing about durability."""

    def mkdir(self, path: Path) -> None:
        """Create a directory, mode 0770 as far as the umask lets it."""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or directory another name, atomically, replacing a file of that name."""

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory are on the device."""

    def remove(self, path: Path) -> None:
        """Remove a file, or a directory with what it holds."""

    def free(self, path: Path) -> int:
        """Bytes that an unprivileged process may still write on the file system of `path`; EROFS where none may."""


class LocalDisk:
    """`Disk` on a mounted file system."""

    def create(self, path: Path) -> int:  # noqa: D102
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        if os.geteuid() == 0:  # what root notes in the store must stay readable for the recorder
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor

    def open(self, path: Path) -> int:  # noqa: D102
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)

    def writev(self, descriptor: int, buffers: Sequence[Data]) -> int:  # noqa: D102
        return os.writev(descriptor, buffers)

    def pwrite(self, descriptor: int, data: Data, offset: int) -> int:  # noqa: D102
        return os.pwrite(descriptor, data, offset)

    def truncate(self, descriptor: int, size: int) -> None:  # noqa: D102
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:  # noqa: D102
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:  # noqa: D102
        os.close(descriptor)

    def mkdir(self, path: Path) -> None:  # noqa: D102
        path.mkdir(mode=0o770)

    def rename(self, source: Path, target: Path) -> None:  # noqa: D102
        source.rename(target)

    def sync_directory(self, path: Path) -> None:  # noqa: D102
        descriptor = os.open(path, _DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:  # noqa: D102
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def free(self, path: Path) -> int:  # noqa: D102
        status = os.statvfs(path)
        if status.f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return status.f_bavail * status.f_frsize


class SequentialFile:
    """A file that is written once, from front to back, and reaches the device while it is being written.

    After each write the kernel is told to start writing these pages out and not to keep them: the final
    `sync` finds most of its work done, and a long save does not push everything else out of a small board's
    memory. (On Linux, POSIX_FADV_DONTNEED on dirty pages starts write-back without waiting for it: mm/fadvise.c.)
    """

    def __init__(self, disk: Disk, descriptor: int, position: int = 0) -> None:
        self._disk = disk
        self._descriptor = descriptor
        self.position = position

    @classmethod
    def create(cls, disk: Disk, path: Path) -> "SequentialFile":
        """Create the file; it must not exist yet."""
        return cls(disk, disk.create(path))

    def write(self, buffers: Sequence[Data]) -> None:
        """Append all of `buffers`."""
        start = self.position
        waiting = [memoryview(buffer) for buffer in buffers]
        while waiting:
            batch = waiting[:_IOV_MAX]
            written = self._disk.writev(self._descriptor, batch)
            self.position += written
            done = 0
            while done < len(batch) and written >= batch[done].nbytes:
                written -= batch[done].nbytes
                done += 1
            waiting = waiting[done:]
            if written:
                waiting[0] = waiting[0][written:]
        _start_write_back(self._descriptor, start, self.position - start)

    def patch(self, data: Data, offset: int) -> None:
        """Overwrite a few bytes, within one sector, that were written before."""
        self._disk.pwrite(self._descriptor, data, offset)

    def truncate(self, size: int) -> None:
        """Drop what lies beyond `size` and go on writing there."""
        self._disk.truncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        self.position = size

    def sync(self) -> None:
        """Return when everything written is on the device."""
        self._disk.sync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        self._disk.close(self._descriptor)


def replace_file(disk: Disk, path: Path, data: bytes) -> None:
    """Make `path` hold `data`, durably: at any instant, and after a power cut, it holds the old or the new."""
    part = path.with_name(path.name + ".part")
    if part.exists():
        disk.remove(part)
    try:
        file = SequentialFile.create(disk, part)
        try:
            file.write([data])
            file.sync()
        finally:
            file.close()
        disk.rename(part, path)
    except OSError:
        with suppress(OSError):  # on a full disk, half a file takes the room of what is more important
            disk.remove(part)
        raise
    disk.sync_directory(path.parent)


def overwrite(disk: Disk, path: Path) -> None:
    """Write zeros over a file, durably, in the blocks that it has, and drop what the kernel has cached of it.

    ext4 writes over a block where it lies. Below that, flash may keep what it held until it needs the space.
    """
    descriptor = disk.open(path)
    try:
        size, position = os.fstat(descriptor).st_size, 0
        while position < size:
            position += disk.pwrite(descriptor, memoryview(_ZEROS)[: size - position], position)
        disk.sync(descriptor)
        _start_write_back(descriptor, 0, size)  # synced pages are dropped at once
    finally:
        disk.close(descriptor)


@contextmanager
def alone_in(directory: Path, wait: bool = True) -> Iterator[Path]:
    """Keep others that ask for the same out of a directory, for the length of a block.

    Raises BlockingIOError without `wait`, if others are in it.

    Gives a path to that very directory: whoever puts a link in its place meanwhile leads nobody elsewhere.
    """
    descriptor = os.open(directory, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        pinned = Path(f"/proc/self/fd/{descriptor}")
        yield pinned if pinned.exists() else directory  # not on macOS
    finally:
        os.close(descriptor)


def move_directory(disk: Disk, source: Path, target: Path) -> None:
    """Give a directory its name elsewhere on the same file system, durably. Its own content must be synced."""
    disk.rename(source, target)
    disk.sync_directory(target.parent)
    disk.sync_directory(source.parent)


def _start_write_back(descriptor: int, offset: int, length: int) -> None:
    if hasattr(os, "posix_fadvise"):  # not on macOS, where it only costs the head start
        os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
