"""The thread that a device's packets come from."""

import logging
import threading
import traceback
from collections.abc import Callable

log = logging.getLogger(__name__)


class Worker:
    """One thread at a time; started and stopped any number of times, by one other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], None], close: Callable[[], None] = lambda: None) -> None:
        """Do `work` in a thread, then `close`. `work` looks at `ends`, or waits by `ends_within`, and then returns.

        Whatever it raises is the device's failure: it is logged, and the device falls silent.
        """
        self._ending.clear()
        self._thread = threading.Thread(target=lambda: self._run(work, close), name=self._name, daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], None], close: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - libraries raise any class; see `guarded`
            # As text: a record of the error itself would keep its traceback, and so frames that belong to the device.
            trace = "" if isinstance(error, OSError) else f"\n{traceback.format_exc()}"
            log.error("the %s stopped delivering (%s)%s", self._name, str(error), trace)
        close()

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
