"""What a keeper keeps going: a device, and where its packets go."""

import errno
from collections.abc import Callable

from missed_moment import clock
from missed_moment.capture.camera import Camera
from missed_moment.capture.choice import CameraChooser, Candidate
from missed_moment.capture.guarded import Guarded
from missed_moment.capture.meter import FrameMeter
from missed_moment.capture.microphone import Microphone
from missed_moment.errors import CameraError, MicrophoneError
from missed_moment.packets import PcmBlock, VideoFormat, VideoPacket
from missed_moment.ring import Ring

LEFT_BEHIND = 4
"""Threads that may hang in a device's call at the same time. Only another process can do anything about more."""

_Camera = Guarded[VideoPacket, VideoFormat]


class Filming:
    """The camera that films into the ring, chosen at each start, and counted."""

    def __init__(
        self,
        camera: Camera | CameraChooser,
        meter: FrameMeter,
        ring: Ring,
        on_format: Callable[[VideoFormat], None],
    ) -> None:
        """Set up; nothing is opened before `start`."""
        self._cameras = camera if isinstance(camera, CameraChooser) else CameraChooser.of(camera)
        self._meter = meter
        self._ring = ring
        self._on_format = on_format
        self._films: tuple[Candidate, _Camera] | None = None
        self._silent = False
        self._hanging: dict[str, _Camera] = {}

    @property
    def name(self) -> str:
        """The kind of the camera that was started last."""
        return self._cameras.name

    def start(self) -> None:
        """Start the first camera that can be started.

        Raises CameraError if none of those left in this round can, and as soon as one blocks: the next start
        goes on with the camera after it.
        """
        self._hanging = {key: camera for key, camera in self._hanging.items() if camera.hangs}
        self._meter.begin()
        for candidate in self._cameras.candidates():
            try:
                self._start(candidate)
            except CameraError as error:
                self._cameras.refused(candidate, error)
                if error.errno == errno.ETIMEDOUT and candidate.key not in self._hanging:
                    break
            else:
                return
        raise self._cameras.error()

    def fell_silent(self) -> str:
        """Note that the camera delivers nothing, and return the message about it.

        One that never delivered a frame gets its next attempt after all others.
        """
        silent = f"the {self.name} camera delivers no pictures; it is started again. If this stays so, check its cable"
        if self._films is None or self._meter.last_arrival_ns is not None:
            return silent
        self._silent = True
        self._cameras.refused(self._films[0], CameraError(errno.ETIMEDOUT, silent))
        return str(self._cameras.error().strerror)

    def stop(self) -> None:
        """Stop the camera. Raises CameraError."""
        if self._films is None:
            return
        (candidate, camera), self._films = self._films, None
        if self._meter.last_arrival_ns is not None:
            self._cameras.filmed(candidate)
        elif not self._silent:
            self._cameras.postponed()
        try:
            camera.stop()
        except CameraError as error:
            self._cameras.refused(candidate, error)
            self._note_hanging(candidate, camera)
            raise

    @property
    def hangs(self) -> str | None:
        """The message about a camera that hangs as it is started or stopped."""
        return next((str(camera.blocked().strerror) for camera in self._hanging.values() if camera.hangs), None)

    @property
    def last_arrival_ns(self) -> int | None:
        """When the last picture came."""
        return self._meter.last_arrival_ns

    def _start(self, candidate: Candidate) -> None:
        if candidate.key in self._hanging:
            raise self._hanging[candidate.key].blocked()
        if len(self._hanging) >= LEFT_BEHIND:
            raise CameraError(errno.ETIMEDOUT, "too many cameras block: turn the power off and on")
        camera = _Camera(f"{candidate.name} camera", candidate.make, CameraError)
        try:
            with self._cameras.attempt(candidate):
                video = camera.start(self._take)
        except CameraError:
            self._note_hanging(candidate, camera)
            raise
        self._films, self._silent = (candidate, camera), False
        self._cameras.started(candidate)
        self._meter.fps = video.fps
        self._on_format(video)

    def _note_hanging(self, candidate: Candidate, camera: _Camera) -> None:
        if camera.hangs:
            self._hanging[candidate.key] = camera

    def _take(self, packet: VideoPacket) -> None:
        """Run in the camera's thread, for each picture."""
        self._meter.see(packet)
        self._ring.push_video(packet)


class Listening:
    """A microphone that listens into the ring."""

    def __init__(self, microphone: Microphone, ring: Ring) -> None:
        self.last_arrival_ns: int | None = None
        self._microphone = microphone
        self._ring = ring
        self._guarded = self._guard()

    def start(self) -> None:
        """Start the microphone. Raises MicrophoneError."""
        if self._guarded.hangs:
            raise self._guarded.blocked()
        self.last_arrival_ns = None
        self._guarded = self._guard()
        self._guarded.start(self._take)

    def fell_silent(self) -> str:
        """Return the message about a microphone that delivers nothing."""
        return f"{self._microphone.name} delivers no sound; it is started again. If this stays so, plug it in anew"

    def stop(self) -> None:
        """Stop it. Raises MicrophoneError."""
        self._guarded.stop()

    @property
    def hangs(self) -> str | None:
        """The message about a microphone that hangs as it is started or stopped."""
        return str(self._guarded.blocked().strerror) if self._guarded.hangs else None

    def _guard(self) -> Guarded[PcmBlock, None]:
        return Guarded(self._microphone.name.removeprefix("the "), lambda: self._microphone, MicrophoneError)

    def _take(self, block: PcmBlock) -> None:
        """Run in the microphone's thread, for each block."""
        self.last_arrival_ns = clock.monotonic_ns()
        self._ring.push_pcm(block)
