"""The thread that a device's packets come from."""

import threading
from collections.abc import Callable


class Worker:
    """One thread at a time; started and stopped any number of times, by one other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Do `work` in a thread. It looks at `ends`, or waits by `ends_within`, and returns when it is told to."""
        self._ending.clear()
        self._thread = threading.Thread(target=work, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when the thread has ended. Harmless where there is none."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._thread is not None

    @property
    def ends(self) -> bool:
        """Whether the work is to end."""
        return self._ending.is_set()

    def ends_within(self, seconds: float) -> bool:
        """Wait so long (not at all where that is below 0); True as soon as the work is to end."""
        return self._ending.wait(max(0.0, seconds))
