"""What a keeper keeps going: a device, and where its packets go."""

from collections.abc import Callable

from missed_moment import clock
from missed_moment.capture.camera import Camera
from missed_moment.capture.meter import FrameMeter
from missed_moment.capture.microphone import Microphone
from missed_moment.packets import PcmBlock, VideoFormat, VideoPacket
from missed_moment.ring import Ring


class Filming:
    """A camera that films into the ring, and is counted."""

    def __init__(self, camera: Camera, meter: FrameMeter, ring: Ring, on_format: Callable[[VideoFormat], None]) -> None:
        self.silent = (
            f"the {camera.name} camera delivers no pictures; it is started again. If this stays so, check its cable"
        )
        self._camera = camera
        self._meter = meter
        self._ring = ring
        self._on_format = on_format

    def start(self) -> None:
        """Start the camera. Raises CameraError."""
        self._meter.begin()
        video = self._camera.start(self._take)
        self._meter.fps = video.fps
        self._on_format(video)

    def stop(self) -> None:
        """Stop it."""
        self._camera.stop()

    @property
    def last_arrival_ns(self) -> int | None:
        """When the last picture came."""
        return self._meter.last_arrival_ns

    def _take(self, packet: VideoPacket) -> None:
        """Run in the camera's thread, for each picture."""
        self._meter.see(packet)
        self._ring.push_video(packet)


class Listening:
    """A microphone that listens into the ring."""

    def __init__(self, microphone: Microphone, ring: Ring) -> None:
        self.silent = f"{microphone.name} delivers no sound; it is started again. If this stays so, plug it in anew"
        self.last_arrival_ns: int | None = None
        self._microphone = microphone
        self._ring = ring

    def start(self) -> None:
        """Start the microphone. Raises MicrophoneError."""
        self.last_arrival_ns = None
        self._microphone.start(self._take)

    def stop(self) -> None:
        """Stop it."""
        self._microphone.stop()

    def _take(self, block: PcmBlock) -> None:
        """Run in the microphone's thread, for each block."""
        self.last_arrival_ns = clock.monotonic_ns()
        self._ring.push_pcm(block)
