"""Keeps a camera filming, or a microphone listening: starts it, watches for silence, and starts it again."""

import errno
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

from missed_moment import clock
from missed_moment.clock import NS
from missed_moment.errors import CameraError, MicrophoneError

SILENCE_NS = 2 * NS
"""Without a packet for this long, a device that says nothing is taken for broken."""
START_NS = 8 * NS
"""The first packet may take this long: sensors settle, encoders load. A fault is due 10 s after the start."""
_LOOK_S = 0.25
_OFF_S = 5.0
_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0)
"""What did deliver is started again at once; what does not start, less and less often."""


_NOT_OURS = frozenset({errno.ENODEV, errno.EBUSY})
"""Errors that no restart of the recorder or the board mends: there is no device, or another program holds it."""


class Source(Protocol):
    """A device with what takes its packets: see `services.sources`. Neither call blocks for long."""

    def start(self) -> None:
        """Start the device. Raises CameraError or MicrophoneError.

        ENODEV if there is none, EBUSY if another program holds it, ETIMEDOUT if it blocks.
        """

    def fell_silent(self) -> str:
        """Note that it delivers nothing and will be stopped; returns the message for the owner."""

    def stop(self) -> None:
        """Stop it. Raises as `start` does."""

    @property
    def hangs(self) -> str | None:
        """The message about a device that was left behind in a call; None if there is none."""

    @property
    def last_arrival_ns(self) -> int | None:
        """When its last packet came; None where none has come since it was started."""


class Delivery(NamedTuple):
    """Whether packets come, and since when they do or do not.

    That is None where it is nobody's fault that none come: the device is switched off, there is none, or another
    program holds it.
    """

    comes: bool
    since_ns: int | None


class Keeper:
    """Runs one source in a thread of its own, which is the only one that starts and stops it.

    `delivery` tells whether packets come, `restarts` how often the device was started again. `may_deliver` is true from
    before a start until the device has stopped, or has fallen silent: longer than it is `wanted`.
    """

    def __init__(
        self,
        source: Source,
        report: Callable[[str | None], None],
        on_off: Callable[[], None],
        alive: Callable[[], None] = lambda: None,
        patience_ns: int = 0,
    ) -> None:
        """Set up.

        `report` is told what is wrong, None while nothing is. `on_off` is called when the device has been switched
        off and nothing more will come. `alive` is called again and again while there is nothing that a restart of
        the process could mend: packets come, or the device is switched off, or there is none. Not while a device
        that is there stays silent, or hangs as it is started or stopped: its sensor may be on. A device that is absent
        is no fault within `patience_ns` of `start`: just after power-on its driver is still being loaded.
        """
        self._source = source
        self._report = report
        self._on_off = on_off
        self._alive = alive
        self._patience_ns = patience_ns
        self._began_ns = 0
        self._wanted = threading.Event()
        self._wanted.set()
        self._disturb = threading.Event()  # something changed: stop, or the switch
        self._stopped = False
        self.restarts = 0
        self.may_deliver = False
        self.delivery = Delivery(False, None)
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._began_ns = clock.monotonic_ns()
        self._thread.start()

    def switch(self, on: bool) -> None:
        """Have the device deliver, or not."""
        if on:
            self._wanted.set()
        else:
            self._wanted.clear()
        self._disturb.set()

    @property
    def wanted(self) -> bool:
        """Whether the device is switched on."""
        return self._wanted.is_set()

    def stop(self, timeout_s: float) -> None:
        """Stop the device."""
        self._stopped = True
        self._disturb.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while True:
            self._disturb.clear()  # before looking at what may have changed
            if self._stopped:
                break
            if not self._wanted.is_set():
                self.delivery = Delivery(False, None)
                hangs = self._source.hangs
                self.may_deliver = bool(hangs)
                self._report(hangs)  # what is switched off is not broken, unless it cannot be switched off
                if not hangs:
                    self._alive()
                self._disturb.wait(_OFF_S)
                continue
            try:
                self.may_deliver = True
                self._source.start()
                self._watch()
                self._source.stop()
            except (CameraError, MicrophoneError) as error:
                self._failed(error)
            self.may_deliver = bool(self._source.hangs)  # what cannot be stopped may go on
            if not self._wanted.is_set():
                self._on_off()
            failures = 0 if self._source.last_arrival_ns else failures + 1
            if not self._disturb.is_set():
                self._disturb.wait(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
        self._report(None)

    def _failed(self, error: CameraError | MicrophoneError) -> None:
        if error.errno in _NOT_OURS:
            self.delivery = Delivery(False, None)
        elif self._wanted.is_set():
            self._wait_from(clock.monotonic_ns())
        waited_ns = clock.monotonic_ns() - self._began_ns
        if error.errno != errno.ENODEV or waited_ns >= self._patience_ns:
            self._report(error.strerror or str(error))
        if error.errno != errno.ETIMEDOUT:
            self._alive()

    def _wait_from(self, now_ns: int) -> None:
        """Count from the end of the first start: importing a camera's library may take as long as its patience."""
        if self.delivery.since_ns is None:
            self.delivery = Delivery(False, now_ns)

    def _watch(self) -> None:
        """Return when the device has fallen silent, or was switched off."""
        started_ns = clock.monotonic_ns()
        self._wait_from(started_ns)
        while not self._disturb.wait(_LOOK_S):
            last_ns = self._source.last_arrival_ns
            silent_ns = clock.monotonic_ns() - (last_ns or started_ns)
            if silent_ns > (SILENCE_NS if last_ns else START_NS):
                if self.delivery.comes:
                    self.delivery = Delivery(False, last_ns)
                self.may_deliver = False
                self.restarts += 1
                self._report(self._source.fell_silent())
                return
            if last_ns:
                if not self.delivery.comes:
                    self.delivery = Delivery(True, last_ns)
                self._report(None)
                self._alive()
        self.delivery = Delivery(False, None)
