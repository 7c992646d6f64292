"""The boundary to device libraries: every call ends in time, and every failure is that device's own error.

picamera2, libav, ALSA and the drivers below them raise any class of exception, and block without an end when hardware
is broken. Neither may end the recorder or stop it from trying another device. A call that blocks while it holds
Python's lock, as those of libcamera's bindings do, is systemd's watchdog's to end (see `choice.CameraChooser`).
"""

import errno
import logging
import threading
import traceback
from collections.abc import Callable
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, Protocol, TypeVar

from missed_moment.errors import CameraError, MicrophoneError

log = logging.getLogger(__name__)

CALL_S = 8.0
"""Seconds after which a start or a stop counts as blocked. A fault is due 10 s after the call."""
MAKE_S = 20.0
"""Seconds after which making a device counts as blocked. That imports its library: a Zero 2 W takes several seconds,
and picamera2 opens every node in /dev/video* while it is imported."""

_Packet = TypeVar("_Packet")
_Packet_co = TypeVar("_Packet_co", covariant=True)
_Result = TypeVar("_Result")
_Started = TypeVar("_Started")
_Started_co = TypeVar("_Started_co", covariant=True)


class Device(Protocol[_Packet_co, _Started_co]):
    """A camera or a microphone."""

    def start(self, sink: Callable[[_Packet_co], None], /) -> _Started_co:
        """Start to deliver into `sink`."""

    def stop(self) -> None:
        """Stop. Harmless if the device was not started."""


class _Outcome(NamedTuple):
    result: object
    error: Exception | None


class Guarded(Generic[_Packet, _Started]):
    """One start and one stop of a device.

    Both raise `error` and nothing else. A call that blocks is left behind in its thread with ETIMEDOUT as errno; from
    then on, no packet of this device passes, and a start that returns late is undone.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Device[_Packet, _Started]],
        error: type[CameraError] | type[MicrophoneError],
    ) -> None:
        """Set up; `make` returns the device and may import its library."""
        self._name = name
        self._make = make
        self._error = error
        self._device: Device[_Packet, _Started] | None = None
        self._blocked = threading.Event()
        self._returned = threading.Event()
        self._returned.set()
        self._shut = False
        self._settled = False
        self._limit_s = CALL_S
        self._lock = threading.Lock()

    def blocked(self) -> CameraError | MicrophoneError:
        """Return the error of a call that blocks."""
        return self._error(
            errno.ETIMEDOUT,
            f"the {self._name} does not answer within {self._limit_s:g} s: unplug it and plug it in again, or turn the "
            "power off and on",
        )

    @property
    def hangs(self) -> bool:
        """Whether a call was left behind and has not returned."""
        return self._blocked.is_set() and not self._returned.is_set()

    def start(self, sink: Callable[[_Packet], None]) -> _Started:
        """Make the device and start it."""

        def passed(packet: _Packet) -> None:
            if not self._shut:
                sink(packet)

        def begin() -> _Started:
            assert self._device is not None  # noqa: S101 - for the type checker
            try:
                started = self._device.start(passed)
            except BaseException:
                self._device.stop()
                raise
            with self._lock:
                late = self._shut
                self._settled = not late
            if late:
                self._device.stop()
            return started

        def make() -> None:
            self._device = self._make()

        self._converted(lambda: self._in_time(make, "make", MAKE_S), "start")
        return self._converted(lambda: self._in_time(begin, "start", CALL_S), "start")

    def stop(self) -> None:
        """Stop the device. Nothing passes afterwards, whatever happens."""
        device = self._device
        if device is None:
            return
        try:
            self._converted(lambda: self._in_time(device.stop, "stop", CALL_S), "stop")
        finally:
            self._shut = True

    def _converted(self, work: Callable[[], _Result], verb: str) -> _Result:
        try:
            return work()
        except (CameraError, MicrophoneError):
            raise
        except Exception as error:
            _log_once("".join(traceback.format_exception(error)))
            raise self._error(
                errno.EIO,
                f"the {self._name} does not {verb} ({_text(error)}): check its cable; "
                "`journalctl -u missed-moment` has the details",
            ) from error

    def _in_time(self, work: Callable[[], _Result], verb: str, limit_s: float) -> _Result:
        outcomes: SimpleQueue[_Outcome] = SimpleQueue()

        def run() -> None:
            try:
                outcomes.put(_Outcome(work(), None))
            except Exception as error:  # noqa: BLE001 - passed on to the thread that waits
                outcomes.put(_Outcome(None, error))
            finally:
                self._returned.set()

        self._settled = False
        self._limit_s = limit_s
        self._returned.clear()
        threading.Thread(target=run, name=f"{verb} {self._name}", daemon=True).start()
        outcome = self._wait(outcomes)
        if outcome is None:
            raise self.blocked()
        if outcome.error is not None:
            raise outcome.error
        return outcome.result  # type: ignore[return-value]  # what `work` returned

    def _wait(self, outcomes: SimpleQueue[_Outcome]) -> _Outcome | None:
        """Return the outcome; None if the call blocks, in which case the device is shut before a late return."""
        try:
            return outcomes.get(timeout=self._limit_s)
        except Empty:
            pass
        with self._lock:
            if not self._settled and outcomes.empty():
                self._shut = True
                self._blocked.set()
                return None
        return outcomes.get()


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


@lru_cache(maxsize=32)
def _log_once(trace: str) -> None:
    """Log a traceback the first time: a device is tried again every few seconds, for as long as the recorder runs."""
    log.error("a device failed in an unexpected way:\n%s", trace)
