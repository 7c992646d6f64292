"""Tells the recorder how far a stick is, so that its LED shows it; works without a recorder as well."""

import logging
import threading
from pathlib import Path

from missed_moment import clock
from missed_moment.control import ask
from missed_moment.errors import ControlError
from missed_moment.panel.language import Stick

log = logging.getLogger(__name__)

_REPEAT_S = 1.0
"""Told again this often: a copy goes on, and the recorder may have been restarted; it believes nobody who is silent."""


class Teller:
    """Speaks for one stick, in a thread of its own: a recorder that hangs must not stop a copy."""

    def __init__(self, socket: Path, name: str) -> None:
        """Set up to speak for the stick called `name`."""
        self._socket = socket
        self._name = name
        self._began_ns = clock.monotonic_ns()
        self._news: tuple[Stick, str] = (Stick.NONE, "")
        self._copied = 0.0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="teller", daemon=True)

    def tell(self, stick: Stick, trouble: str = "", copied: float = 0.0) -> None:
        """It is that far, and that went wrong; `copied` is which share is done. Returns at once."""
        with self._changed:
            self._copied = copied
            if self._news != (stick, trouble):
                self._news = (stick, trouble)
                self._changed.notify()
            if not self._thread.is_alive():
                self._thread.start()

    def close(self) -> None:
        """Return when what was told last was heard, or nobody listens."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                news, copied, last = self._news, self._copied, self._closed
            stick, trouble = news
            try:
                ask(
                    self._socket,
                    "stick",
                    name=self._name,
                    stick=stick.value,
                    trouble=trouble,
                    copied=copied,
                    began_ns=self._began_ns,
                )
            except ControlError as error:
                log.debug("%s", error)
            if last:
                return
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._news != news, _REPEAT_S)  # noqa: B023 - now
