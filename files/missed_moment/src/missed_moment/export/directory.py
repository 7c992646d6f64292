"""One directory that a stranger prepared, reached through its descriptor only.

Whatever lies in it (a link where a directory should be, a link in place of a file) cannot lead us out of it: names
are single components, links are never followed, and the directory itself was opened without following one.
"""

import errno
import fcntl
import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from missed_moment.errors import ExportError

log = logging.getLogger(__name__)

PART = ".part"
"""What is being written is called so."""
_CHUNK = 1024 * 1024
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # of a FIFO, an open would wait for a writer
_NO_SUCH_NAME = {errno.ENOENT, errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ}
"""Nothing has such a name, or can have it on this file system."""
_FILE_MODE, _DIRECTORY_MODE = 0o644, 0o755
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Directory:
    """A directory to copy into; close it when done."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over an open directory; `path` is for messages."""
        self.path = path
        self._fd = descriptor

    @classmethod
    def existing(cls, path: Path) -> Self:
        """Open a directory that is there. Raises ExportError if it is none, or cannot be read."""
        try:
            return cls(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            raise ExportError(f"{path} cannot be read as a directory ({error.strerror})") from error

    @classmethod
    def create(cls, parent: Path, name: str) -> Self:
        """Open `parent/name`, creating `name` if it is missing.

        Raises ExportError if it is something else than a directory, or cannot be written.
        """
        path = parent / name
        try:
            outer = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, _DIRECTORY_MODE, dir_fd=outer)
                    _sync_directory(outer)
                descriptor = os.open(name, _READ | os.O_DIRECTORY, dir_fd=outer)
            finally:
                os.close(outer)
        except OSError as error:
            raise ExportError(
                f"{path} cannot be used as a directory ({error.strerror}): "
                "is the stick write-protected, its top folder (ext4) not everybody's to write to, "
                "or a file or link of that name on it?"
            ) from error
        _set_mode(descriptor, _DIRECTORY_MODE)
        return cls(path, descriptor)

    def __enter__(self) -> Self:
        """Use it for the length of a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)

    def size(self, name: str) -> int | None:
        """Return the size of a regular file in it; None where there is none of that name."""
        status = self._status(name)
        return status.st_size if status and stat.S_ISREG(status.st_mode) else None

    def exists(self, name: str) -> bool:
        """Tell whether anything has that name."""
        return self._status(name) is not None

    def _status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_SUCH_NAME:
                return None
            raise

    def free(self) -> int:
        """Bytes that may still be written."""
        status = os.fstatvfs(self._fd)
        return status.f_bavail * status.f_frsize

    def read(self, name: str, limit: int) -> bytes:
        """Read a small file, `limit` bytes at most; empty where there is none."""
        if self.size(name) is None:
            return b""
        with self.open(name) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(limit)

    @contextmanager
    def open(self, name: str) -> Iterator[int]:
        """Open a regular file for reading, for the length of a block."""
        descriptor = os.open(name, _READ, dir_fd=self._fd)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Not a regular file", name)
            yield descriptor
        finally:
            os.close(descriptor)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of what the device holds under a name, not of what the page cache remembers."""
        with self.open(name) as descriptor:
            _drop_cache(descriptor)
            return sha256(descriptor)

    def write(self, name: str, chunks: Iterator[bytes], modified_s: float | None = None) -> None:
        """Create a file, replacing one of that name, and return when it is on the device.

        `modified_s`, in seconds of Unix time, is when it was last modified; None means now.
        """
        self.remove(name)
        descriptor = os.open(name, _CREATE, _FILE_MODE, dir_fd=self._fd)
        try:
            _set_mode(descriptor, _FILE_MODE)
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
            if modified_s is not None:
                with suppress(OSError, OverflowError):  # a label, and not every file system has one to set
                    os.utime(descriptor, (modified_s, modified_s))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, name: str, data: bytes) -> None:
        """Make a file hold `data`: at any instant, it holds the old or the new."""
        self.write(name + PART, iter([data]))
        self.rename(name + PART, name)

    def rename(self, name: str, new: str) -> None:
        """Give a file its final name, durably.

        FAT keeps length and place of a file beside its name, and Linux writes those of a new name with the file, not
        with the directory: without the first sync, a stick that is pulled now has an empty file of that name.
        """
        os.rename(name, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        descriptor = os.open(new, _READ, dir_fd=self._fd)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        _sync_directory(self._fd)

    def remove(self, name: str) -> None:
        """Remove a file or link; nothing where there is none."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def try_remove(self, name: str) -> None:
        """Remove a file, if the device lets us."""
        try:
            self.remove(name)
        except OSError as error:
            log.info("%s stays on the stick (%s); the next time removes it", name, error.strerror)

    def free_name(self, name: str) -> str:
        """Return `name`, or one like it if a file has it: that may be another device's, or its owner's."""
        path, number, free = Path(name), 1, name
        while self.exists(free) and self.size(free) != 0:  # an empty one is what a pull left of ours
            number += 1
            free = f"{path.stem}-{number}{path.suffix}"
        return free


def sha256(descriptor: int) -> str:
    """Return the SHA-256 of an open file, from its beginning."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_chunks(descriptor: int, size: int = _CHUNK) -> Iterator[bytes]:
    """Yield the content of an open file, from where it stands."""
    while chunk := os.read(descriptor, size):
        yield chunk


def _sync_directory(descriptor: int) -> None:
    """Return when the names in a directory are on the device, if its file system can be asked for that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network and FUSE file systems
            raise


def _set_mode(descriptor: int, mode: int) -> None:
    """Let everybody read, whatever the umask is: on ext4, the owner of the stick is another user than ours.

    File systems without modes refuse; there, the mount that its owner makes decides.
    """
    with suppress(OSError):
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)


def _drop_cache(descriptor: int) -> None:
    """Make the next reads come from the device. The file must be synced: dirty pages cannot be dropped."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    elif hasattr(fcntl, "F_NOCACHE"):  # macOS
        fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)
