"""The recorder as a program: panel, control socket and signals around a `Recorder`."""

import logging
import os
import signal
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from missed_moment import clock, config, memory, memory_budget
from missed_moment.board import Board
from missed_moment.capture.choice import Kind, choose_camera, choose_microphone
from missed_moment.clock import NS
from missed_moment.control import ControlServer, number, text
from missed_moment.durable import LocalDisk
from missed_moment.errors import ControlError, MemoryLockError, MissedMomentError
from missed_moment.health import Fault, Health
from missed_moment.ladder import Step
from missed_moment.panel.gpio import GpioPanel, board_pins
from missed_moment.panel.lamp import BoardLamp, Lamp, Signaller
from missed_moment.panel.language import Stick
from missed_moment.panel.retried import RetriedPanel
from missed_moment.panel.touch import Hold, Press, Release, Touch
from missed_moment.places import Places
from missed_moment.services.recorder import Recorder
from missed_moment.services.supervisor import Supervisor

log = logging.getLogger(__name__)

_SETTLE_S = 20.0
"""Who waits for the recorder waits for its first picture, but not for ever."""
_DRIVERS_NS = 8 * NS
"""Nothing orders the recorder after the drivers of cameras and microphones: udev loads them beside it."""
_ANSWER_S = 4.0
"""Whoever asks at the control socket gets an answer after that long, also if the disk takes longer."""
EXIT_BUG, EXIT_AGAIN = os.EX_SOFTWARE, os.EX_TEMPFAIL
"""Exit codes after an error that nobody expected, and where another start may help."""
REBOOT = "reboot"
"""The file in the runtime directory by which systemd is asked to start the board again."""
STARTING = "starting-camera"
"""The file in the runtime directory that names the camera while it is being started."""


_LATEST_S = 253_402_300_799
"""The last second of the year 9999."""
_NAME, _TROUBLE = 4096, 16_384
"""The longest name of a stick's port, and the longest message about it, in characters."""

_ENDINGS = {signal.SIGTERM, signal.SIGINT}


class _Finger:
    """Turns touches of the button into what the recorder understands."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._pressed_ns: int | None = None

    def touch(self, touch: Touch) -> None:
        match touch:
            case Press():
                try:
                    self._pressed_ns = self._recorder.press(down=True)
                except MissedMomentError as error:
                    self._pressed_ns = None
                    log.error("%s", error)
            case Release():
                if self._pressed_ns is not None:
                    self._recorder.release(self._pressed_ns)
            case Hold():
                self._recorder.forget(self._pressed_ns)


class _Commands:
    """What the control socket understands."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def press(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        pressed_ns = self._recorder.press()
        return {"pressed_ns": pressed_ns, "ring_s": self._recorder.ring.state().seconds}

    def forget(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"gone": self._recorder.forget().wait(_ANSWER_S)}

    def delete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        sequence = request.get("sequence")
        if not isinstance(sequence, int) or isinstance(sequence, bool):
            raise ControlError(f"{sequence!r} is no number of a moment: `missed-moment clips` lists the moments")
        self._recorder.delete(sequence)
        return {}

    def status(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._recorder.status().model_dump(mode="json")

    def time(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """An exporter tells of the newest file that a stick holds, in seconds of Unix time."""
        try:
            at = datetime.fromtimestamp(number(request, "newest", 0, _LATEST_S), UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise ControlError(f"{request.get('newest')!r:.60} is no time ({error})") from error
        self._recorder.hear_of_time(at)
        return {}

    def stick(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """An exporter tells how far it is."""
        try:
            stick = Stick(request.get("stick"))
        except (TypeError, ValueError) as error:
            raise ControlError(f"{error!s:.60}; what there is: {', '.join(stick.value for stick in Stick)}") from error
        name, trouble = text(request, "name", _NAME), text(request, "trouble", _TROUBLE)
        copied = min(1.0, number(request, "copied", 0, 2))
        began_ns = int(number(request, "began_ns", 0, clock.monotonic_ns()))
        self._recorder.stick(name, stick, trouble, copied, began_ns)
        return {}


def run(places: Places, kind: Kind) -> bool:
    """Record until SIGTERM or SIGINT; False where the disk did not take everything before we left.

    Raises ControlError where another recorder runs on the same socket. Everything else that goes wrong is a fault
    that is shown, while whatever still works goes on.
    """
    threading.excepthook = _thread_failed
    try:
        memory.lock()
    except MemoryLockError as error:
        log.warning("%s", error)
    # Blocked here and so in every thread, and waited for below: a handler may run while a lock is held, or too early
    # for the wait that it is to end.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_DFL)  # what is ignored cannot be waited for
    memory_bytes = memory.total_bytes()
    loaded = memory_budget.fit(config.load(places.settings), memory_bytes)
    settings = loaded.settings
    lamps: list[Lamp] = [BoardLamp()]
    signaller = Signaller(lamps)
    cameras = choose_camera(kind, settings.video, places.socket.parent / STARTING)
    microphone = choose_microphone(kind, settings.sound)
    supervisor = Supervisor()
    recorder = Recorder(
        loaded,
        cameras,
        microphone,
        places.store,
        LocalDisk(),
        Board(),
        signaller.show,
        supervisor.alive,
        memory.complaint if kind != "synthetic" else lambda: None,  # what that one shows is no secret
        lambda step: _give_up(step, places.socket.parent),
        places.socket.parent,
        memory_budget.backlog_rings(settings, memory_bytes),
        _DRIVERS_NS,
    )
    commands = _Commands(recorder)
    server = ControlServer(
        places.socket,
        {
            "press": commands.press,
            "forget": commands.forget,
            "delete": commands.delete,
            "status": commands.status,
            "stick": commands.stick,
            "time": commands.time,
        },
    )
    server.start()
    finger = _Finger(recorder)
    panel = RetriedPanel(
        lambda: GpioPanel(board_pins(), settings.button, settings.led, finger.touch, recorder.switch, panel.fail),
        lambda complaint: _report_panel(recorder.health, complaint),
        None if settings.button.switch_pin is None else lambda: recorder.switch(False),
    )
    threading.excepthook = lambda failed: _thread_failed(failed, panel)
    panel.start()
    lamps.append(panel)
    recorder.start()
    recorder.wait_settled(_SETTLE_S)
    log.info("recording with the %s camera into RAM; moments go to %s", cameras.name, places.store)
    supervisor.ready()
    signal.sigwait(_ENDINGS)
    supervisor.stopping()
    server.stop()
    finished = recorder.stop()
    signaller.stop()
    panel.stop()
    return finished


def _report_panel(health: Health, complaint: str | None) -> None:
    """Show a broken panel as a fault of the settings: wrong pins are its usual cause, and the owner's to change."""
    if complaint:
        health.report(Fault.SETTINGS, complaint, "panel")
    else:
        health.clear(Fault.SETTINGS, "panel")


def _give_up(step: Step, runtime: Path) -> None:
    """End at once, to be started again: what hangs may hang for ever. Where the board is to be, systemd is told so."""
    log.critical("the camera is there and films nothing: the %s is started again", step.value)
    if step is Step.BOARD:
        (runtime / REBOOT).touch()
    os._exit(EXIT_AGAIN)


def _thread_failed(failed: threading.ExceptHookArgs, panel: RetriedPanel | None = None) -> None:
    """End when one of our threads ends by an error that nobody expected.

    Without its saver a recorder only looks alive. Whoever supervises us starts another, which finishes what was kept.
    A thread of picamera2, libav or lgpio is a device's: a camera that falls silent is started again by its keeper, and
    a panel whose edges no longer come is claimed again.
    """
    library = _began_in(failed.exc_traceback)
    if library == __name__.partition(".")[0]:
        log.critical("a bug in %s: ending, to be started again", failed.thread, exc_info=failed.exc_value)
        os._exit(EXIT_BUG)
    log.error("a device's thread %s failed", failed.thread, exc_info=failed.exc_value)
    if panel is not None and library in {"lgpio", "gpiozero"}:
        panel.fail(failed.exc_value if isinstance(failed.exc_value, Exception) else RuntimeError("its thread ended"))


def _began_in(trace: TracebackType | None) -> str:
    """Return the package whose code a thread began with; only `threading` itself lies below. Ours if there is none."""
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in traceback.walk_tb(trace)]
    return next((module for module in modules if module != threading.__name__), __name__).partition(".")[0]
