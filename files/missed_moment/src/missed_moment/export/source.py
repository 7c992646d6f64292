"""A moment in the store, as the exporter reads it: through descriptors, never through a link.

Members of the operator group can write to the store, and root may run the export: a link in place of a clip must not
carry any other file of root's to a stick.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from missed_moment.clips import names
from missed_moment.clips.catalogue import Moment, MomentInfo
from missed_moment.errors import SourceError, SourceGoneError
from missed_moment.export.directory import read_chunks, sha256

_CHUNK = 1024 * 1024
_INFO_BYTES = 1024 * 1024
_THUMBNAIL_BYTES = 8 * 1024 * 1024
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # of a FIFO, an open would wait for a writer
_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


class Source:
    """One moment, opened for the length of a block.

    Every method raises SourceError if the store cannot deliver, and SourceGoneError if the moment was deleted. What is
    forgotten is renamed first and then overwritten: whatever was read while it still had its name is true.
    """

    def __init__(self, root: Path, moment: Moment) -> None:
        """Set up to read `moment` of the store at `root`."""
        self.moment = moment
        self._root = root
        self._directory = self._clip = -1

    def __enter__(self) -> Self:
        """Open the moment's directory and its clip."""
        try:
            with self._reading(self.moment.path):
                root = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
                try:
                    self._directory = os.open(self.moment.path.name, _DIRECTORY, dir_fd=root)
                finally:
                    os.close(root)
            self._clip = self._open(names.CLIP)
        except SourceError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close what was opened."""
        self._close()

    def chunks(self, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield the clip from its beginning."""
        with self._reading(self.moment.clip):
            os.lseek(self._clip, 0, os.SEEK_SET)
        chunks = read_chunks(self._clip, size)
        while True:
            with self._reading(self.moment.clip):  # not around the yield: the consumer's errors are its own
                chunk = next(chunks, None)
            if chunk is None:
                self._check_there()
                return
            yield chunk

    def sha256(self) -> str:
        """Return the SHA-256 of the clip."""
        with self._reading(self.moment.clip):
            os.lseek(self._clip, 0, os.SEEK_SET)
            digest = sha256(self._clip)
        self._check_there()
        return digest

    def info(self) -> MomentInfo | None:
        """Return what is known of the moment; None if `moment.json` is missing or cannot be used."""
        try:
            return MomentInfo.model_validate_json(self._read(names.INFO, _INFO_BYTES))
        except (SourceError, ValidationError):
            return None

    def thumbnail(self) -> bytes | None:
        """Return the moment's thumbnail; None if there is none that can be read."""
        try:
            return self._read(names.THUMBNAIL, _THUMBNAIL_BYTES)
        except SourceError:
            return None

    def _read(self, name: str, limit: int) -> bytes:
        descriptor = self._open(name)
        try:
            with self._reading(self.moment.path / name):
                data = os.read(descriptor, limit)
        finally:
            os.close(descriptor)
        self._check_there()
        return data

    def _check_there(self) -> None:
        with self._reading(self.moment.path):
            there = self.moment.path.stat(follow_symlinks=False)
        if not os.path.samestat(there, os.fstat(self._directory)):
            raise SourceGoneError(f"{self.moment.path} was deleted")

    def _open(self, name: str) -> int:
        path = self.moment.path / name
        with self._reading(path):
            descriptor = os.open(name, _FILE, dir_fd=self._directory)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceError(f"{path} is not a file, and is not copied")
        return descriptor

    def _close(self) -> None:
        for descriptor in (self._clip, self._directory):
            if descriptor >= 0:
                os.close(descriptor)
        self._clip = self._directory = -1

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise SourceGoneError(f"{path} was deleted") from error
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
                raise SourceError(f"{path} is a link, or not a file, and is not copied") from error
            raise SourceError(f"{path} cannot be read ({error.strerror}): check the disk of the store") from error
