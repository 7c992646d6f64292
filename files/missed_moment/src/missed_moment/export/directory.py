"""One directory that a stranger prepared, reached through its descriptor only.

Whatever lies in it (a link where a directory should be, a link in place of a file) cannot lead us out of it: names
are single components, links are never followed, and the directory itself was opened without following one.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from missed_moment.errors import ExportError

PART = ".part"
"""What is being written is called so."""
_CHUNK = 1024 * 1024
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Directory:
    """A directory to copy into; close it when done."""

    def __init__(self, parent: Path, name: str) -> None:
        """Open `parent/name`, creating `name` where it is missing.

        Raises ExportError where it is something else than a directory, or cannot be written.
        """
        self.path = parent / name
        try:
            outer = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=outer)
                    os.fsync(outer)
                self._fd = os.open(name, _READ | os.O_DIRECTORY, dir_fd=outer)
            finally:
                os.close(outer)
        except OSError as error:
            raise ExportError(
                f"{self.path} cannot be used as a directory ({error.strerror}): "
                "is the stick write-protected, its top folder (ext4) not everybody's to write to, "
                "or a file or link of that name on it?"
            ) from error

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)

    def size(self, name: str) -> int | None:
        """Return the size of a regular file in it; None where there is none of that name."""
        try:
            status = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def exists(self, name: str) -> bool:
        """Tell whether anything has that name."""
        try:
            os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def free(self) -> int:
        """Bytes that may still be written."""
        status = os.fstatvfs(self._fd)
        return status.f_bavail * status.f_frsize

    def read(self, name: str, limit: int) -> bytes:
        """Read a small file, `limit` bytes at most; empty where there is none."""
        if self.size(name) is None:
            return b""
        with os.fdopen(os.open(name, _READ, dir_fd=self._fd), "rb") as file:
            return file.read(limit)

    def digest(self, name: str) -> str:
        """Return the SHA-256 of what the device holds under a name, not of what the page cache remembers."""
        descriptor = os.open(name, _READ, dir_fd=self._fd)
        try:
            _drop_cache(descriptor)
            return sha256(descriptor)
        finally:
            os.close(descriptor)

    def write(self, name: str, chunks: Iterator[bytes]) -> None:
        """Create a file, replacing one of that name, and return when it is on the device."""
        self.remove(name)
        descriptor = os.open(name, _CREATE, 0o644, dir_fd=self._fd)
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
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
        os.fsync(self._fd)

    def remove(self, name: str) -> None:
        """Remove a file or link; nothing where there is none."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)


@contextmanager
def opened(parent: Path, name: str) -> Iterator[Directory]:
    """Open a `Directory` for the length of a block."""
    directory = Directory(parent, name)
    try:
        yield directory
    finally:
        directory.close()


def sha256(descriptor: int) -> str:
    """Return the SHA-256 of an open file, from its beginning."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_chunks(descriptor: int) -> Iterator[bytes]:
    """Yield the content of an open file."""
    while chunk := os.read(descriptor, _CHUNK):
        yield chunk


def _drop_cache(descriptor: int) -> None:
    """Make the next reads come from the device. The file must be synced: dirty pages cannot be dropped."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    elif hasattr(fcntl, "F_NOCACHE"):  # macOS
        fcntl.fcntl(descriptor, fcntl.F_NOCACHE, 1)
