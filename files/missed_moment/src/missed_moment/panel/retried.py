"""The panel, claimed until its pins can be had, and again when it has failed."""

import errno
import logging
import threading
from collections.abc import Callable
from typing import Protocol

from missed_moment.errors import PanelError

log = logging.getLogger(__name__)

_BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""A gpiochip may appear seconds after the start; a pin that another program holds may be free at any time."""


class Panel(Protocol):
    """Button, LED and switch whose pins are claimed."""

    def shine(self, level: float) -> None:
        """Shine at `level`, from 0 (dark) to 1."""

    def close(self) -> None:
        """Release the pins."""


class RetriedPanel:
    """A lamp that never fails: whatever the panel raises is reported, and the panel is opened again.

    gpiozero and lgpio raise classes of their own (`lgpio.error` is no OSError). None of them may end the recorder.
    """

    def __init__(
        self,
        open_panel: Callable[[], Panel],
        report: Callable[[str | None], None],
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        """Set up. `report` gets what is wrong, or None. `on_lost`: there is a switch, and it cannot be read."""
        self._open = open_panel
        self._report = report
        self._on_lost = on_lost
        self._panel: Panel | None = None
        self._failure: Exception | None = None
        self._disturb = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)

    def start(self) -> None:
        """Begin to claim the pins. Until a switch is read, it counts as open."""
        if self._on_lost is not None:
            self._on_lost()
        self._thread.start()

    def shine(self, level: float) -> None:
        """Shine at `level`; a panel that is not there stays dark."""
        panel = self._panel
        if panel is None:
            return
        try:
            panel.shine(level)
        except Exception as error:  # noqa: BLE001 - see the class
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Take the panel for broken: it is closed and opened again."""
        self._failure = error
        self._disturb.set()

    def stop(self) -> None:
        """Release the pins and end."""
        self._ending.set()
        self._disturb.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        failures = 0
        while not self._ending.is_set():
            try:
                self._panel = panel = self._open()
            except Exception as error:  # noqa: BLE001 - see the class
                if isinstance(error, PanelError) and error.errno == errno.ENODEV and self._on_lost is None:
                    log.warning("%s", self._message(error))
                    return
                self._lost(error)
            else:
                failures = 0
                self._report(None)
                self._disturb.wait()
                self._panel = None
                if self._on_lost is not None and self._failure is not None:
                    self._on_lost()  # at once; and again below, for a last edge may come while the pins are released
                self._close(panel)
                if self._failure is not None:
                    self._lost(self._failure)
            self._failure = None
            self._ending.wait(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
            self._disturb.clear()
            failures += 1

    def _lost(self, error: Exception) -> None:
        if self._on_lost is not None:
            self._on_lost()
        self._report(self._message(error))

    def _message(self, error: Exception) -> str:
        consequence = (
            "recording goes on" if self._on_lost is None else "the switch is not read, so the camera stays off"
        )
        return (
            f"button and LED cannot be used ({_text(error)}); {consequence}. Check the pins under [button] and [led], "
            "and that no other program uses them"
        )

    def _close(self, panel: Panel) -> None:
        try:
            panel.close()
        except Exception as error:  # noqa: BLE001 - what is broken may fail to close as well
            log.warning("the panel's pins were not released (%s)", _text(error))


def _text(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
