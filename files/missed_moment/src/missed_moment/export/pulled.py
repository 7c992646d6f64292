"""Whether the stick was pulled: an event that each long step of an export looks at.

Nothing is thrown into the middle of a system call: a mount that has just been made must be recorded before anything
else happens, or the stick stays mounted behind the exporter's back.
"""

import os
import select
import threading
import time
from collections.abc import Iterable

from missed_moment.errors import StickPulledError


class Pulled:
    """Set once, by any thread; it has a descriptor that is readable from then on."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._read, self._write = os.pipe()

    def set(self) -> None:
        """Record that the stick was pulled."""
        if not self._event.is_set():
            self._event.set()
            os.write(self._write, b"p")

    def check(self) -> None:
        """Raise StickPulledError if the stick was pulled."""
        if self._event.is_set():
            raise StickPulledError("the stick was pulled")

    def wait(self, limit_s: float | None = None) -> bool:
        """Wait until the stick is pulled, for `limit_s` at most; False if it was not."""
        return self._event.wait(limit_s)

    def wait_for_any(self, descriptors: Iterable[int], limit_s: float) -> bool:
        """Wait until one of `descriptors` can be read from; False after `limit_s`.

        Raises StickPulledError as soon as the stick is pulled.
        """
        poll = select.poll()
        for descriptor in (self._read, *descriptors):
            poll.register(descriptor, select.POLLIN)
        ready = poll.poll(max(0, limit_s) * 1000)
        self.check()
        return bool(ready)

    def __del__(self) -> None:
        os.close(self._read)
        os.close(self._write)


def seconds_left(deadline: float) -> float:
    """Return how long it is until `deadline`, in seconds of `time.monotonic`; 0 if that has passed."""
    return max(0.0, deadline - time.monotonic())
