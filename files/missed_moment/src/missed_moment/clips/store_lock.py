"""One recorder a store: a second one would take the clip that the first is writing for one that a power cut left."""

import fcntl
import os
from pathlib import Path

from missed_moment.errors import StoreError


class StoreLock:
    """An flock(2) on the store's directory, which ends with the process; no file is left."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or keep it. Raises StoreError if another recorder has it, OSError if there is no store.

        The directory becomes another one when its file system is mounted: then that one is locked.
        """
        if self._descriptor is not None:
            if os.path.samestat(os.fstat(self._descriptor), self._root.stat()):
                return
            self.release()
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            message = f"another recorder writes to {self._root}: stop it, or give this one a --store of its own"
            raise StoreError(message) from error
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
