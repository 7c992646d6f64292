"""Keeps a camera filming: starts it, watches for silence, and starts it again."""

import threading
from collections.abc import Callable

from missed_moment import clock
from missed_moment.capture.camera import Camera
from missed_moment.capture.meter import FrameMeter
from missed_moment.clock import NS
from missed_moment.errors import CameraError
from missed_moment.health import Fault, Health
from missed_moment.packets import VideoFormat, VideoPacket

SILENCE_NS = 2 * NS
"""Without a picture for this long, a camera that says nothing is taken for broken."""
START_NS = 10 * NS
"""The first picture may take this long: sensors settle, encoders load."""
_LOOK_S = 0.25
_OFF_S = 5.0
_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0)
"""A camera that did film is started again at once; one that does not start, less and less often."""


class CameraKeeper:
    """Runs one camera in a thread of its own, which is the only one that starts and stops it."""

    def __init__(
        self,
        camera: Camera,
        sink: Callable[[VideoPacket], None],
        meter: FrameMeter,
        health: Health,
        on_format: Callable[[VideoFormat], None],
        on_off: Callable[[], None],
        alive: Callable[[], None],
    ) -> None:
        """Set up; `on_off` is called when the camera has been switched off and nothing more will come.

        `alive` is called again and again while there is nothing that a restart of the process could mend: pictures
        come, or the camera is switched off, or there is none. Not while a camera that is there stays silent, or
        hangs as it is started or stopped.
        """
        self._camera = camera
        self._sink = sink
        self._meter = meter
        self._health = health
        self._on_format = on_format
        self._on_off = on_off
        self._alive = alive
        self._wanted = threading.Event()
        self._wanted.set()
        self._disturb = threading.Event()  # something changed: stop, or the switch
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="camera-keeper", daemon=True)

    def start(self) -> None:
        """Begin to film."""
        self._thread.start()

    def switch(self, on: bool) -> None:
        """Film, or do not."""
        if on:
            self._wanted.set()
        else:
            self._wanted.clear()
        self._disturb.set()

    @property
    def name(self) -> str:
        """Which camera it is."""
        return self._camera.name

    @property
    def wanted(self) -> bool:
        """Whether the camera is switched on."""
        return self._wanted.is_set()

    def stop(self, timeout_s: float) -> None:
        """Stop filming; a camera that hangs while it is being stopped is left behind."""
        self._stopped = True
        self._disturb.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while True:
            self._disturb.clear()  # before looking at what may have changed
            if self._stopped:
                break
            if not self._wanted.is_set():
                self._alive()
                self._disturb.wait(_OFF_S)
                continue
            self._meter.begin()
            try:
                video = self._camera.start(self._sink)
            except CameraError as error:
                self._health.report(Fault.CAMERA, str(error))
                self._alive()
            else:
                self._meter.fps = video.fps
                self._on_format(video)
                self._watch()
                self._camera.stop()
            if not self._wanted.is_set():
                self._health.clear(Fault.CAMERA)  # what is switched off is not broken
                self._on_off()
            failures = 0 if self._meter.last_arrival_ns else failures + 1
            if not self._disturb.is_set():
                self._disturb.wait(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
        self._health.clear(Fault.CAMERA)

    def _watch(self) -> None:
        """Return when the camera has fallen silent, or was switched off."""
        started_ns = clock.monotonic_ns()
        while not self._disturb.wait(_LOOK_S):
            last_ns = self._meter.last_arrival_ns
            silent_ns = clock.monotonic_ns() - (last_ns or started_ns)
            if silent_ns > (SILENCE_NS if last_ns else START_NS):
                self._health.report(
                    Fault.CAMERA,
                    f"the {self._camera.name} camera delivers no pictures; it is started again. "
                    "If this stays so, check its cable",
                )
                return
            if last_ns:
                self._health.clear(Fault.CAMERA)
                self._alive()
