"""What it takes to run picamera2 on a computer, with libcamera's virtual camera. None of it touches our code.

Each function stands for one thing that a Raspberry Pi has and this computer has not. picamera2 and libcamera
themselves are the real ones.
"""

import contextlib
import mmap
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any
from unittest.mock import MagicMock

import libcamera
import numpy as np

from missed_moment.capture.painting import burn_number


def stub_what_is_not_used() -> None:
    """Stand in for what picamera2 imports for screens (pykms) and raw photographs (pidng).

    Without it, `import picamera2` fails: the first exists on Raspberry Pi OS only, the second would have to
    be compiled.
    """
    for name in ("pykms", "pidng", "pidng.core", "pidng.camdefs"):
        sys.modules[name] = MagicMock()


stub_what_is_not_used()

import picamera2.encoders  # noqa: E402 - needs the stubs
import picamera2.picamera2  # noqa: E402
from picamera2 import CompletedRequest, MappedArray, Picamera2  # noqa: E402
from picamera2.allocators import Allocator  # noqa: E402


def encode_as_a_pi_5() -> None:
    """Let `H264Encoder` be the encoder in software, as it is on a Pi 5.

    Without it, picamera2 takes a computer without cameras for a Pi 4, and looks for its encoder in vain.
    """
    picamera2.encoders.H264Encoder = picamera2.encoders.LibavH264Encoder


def take_nv12_for_yuv420() -> None:
    """Call the virtual camera's NV12 YUV420: brightness and sizes are the same, colours are not.

    Without it, picamera2 0.3.34 neither maps nor encodes the frames: it does not know NV12. A Raspberry Pi delivers
    YUV420 when that is asked for.
    """
    update = Picamera2._update_stream_config

    def update_as_yuv420(camera: Picamera2, config: dict[str, Any], delivered: Any) -> None:
        update(camera, config, delivered)
        if config["format"] == "NV12":
            config["format"] = "YUV420"

    Picamera2._update_stream_config = update_as_yuv420


def take_video_modes_for_raw_modes() -> None:
    """Answer what modes the sensor has from the sizes of its video.

    Without it, the camera does not open: a virtual camera has no stream of raw pictures that could be asked.
    """

    def modes(camera: Picamera2) -> list[dict[str, Any]]:
        configuration = camera.camera.generate_configuration([libcamera.StreamRole.VideoRecording])
        formats = configuration.at(0).formats
        return [
            {"format": str(pixels), "size": (size.width, size.height)}
            for pixels in formats.pixel_formats
            for size in formats.sizes(pixels)
        ]

    Picamera2._get_raw_modes = modes


class MemoryAllocator(Allocator):
    """Picture buffers in ordinary shared memory, with the two planes of NV12 told apart."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: dict[Any, list[Any]] = {}
        self._memory: dict[Any, mmap.mmap] = {}
        self.sync = _access

    def allocate(self, libcamera_config: Any, _: str | None) -> None:
        """Make the buffers that a configuration asks for; those of the one before go."""
        self._memory = {}
        self._buffers = {
            config.stream: [self._allocate(config.frame_size) for _ in range(config.buffer_count)]
            for config in libcamera_config
        }

    def buffers(self, stream: Any) -> list[Any]:
        """Return the buffers of a stream."""
        return self._buffers[stream]

    def memory(self, buffer: Any) -> mmap.mmap:
        """Return the memory of a buffer."""
        return self._memory[buffer]

    def memory_of(self, size: int) -> int:
        """Return a descriptor of `size` bytes of memory."""
        descriptor = os.memfd_create("frame")
        os.truncate(descriptor, size)
        return descriptor

    def _allocate(self, size: int) -> Any:
        descriptor = self.memory_of(size)
        try:
            luma_size = size * 2 // 3
            planes = [
                _plane(descriptor, 0, luma_size),
                _plane(descriptor, luma_size, size - luma_size),
            ]
            buffer = libcamera.FrameBuffer(planes)
            self._memory[buffer] = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)  # libcamera and the mapping have their own
        return buffer


def _access(allocator: MemoryAllocator, buffer: Any, _write: bool) -> contextlib.nullcontext[mmap.mmap]:
    return contextlib.nullcontext(allocator.memory(buffer))


def _plane(descriptor: int, offset: int, length: int) -> Any:
    plane = libcamera.FrameBuffer.Plane()
    plane.fd, plane.offset, plane.length = descriptor, offset, length
    return plane


def allocate_with(allocator: type[MemoryAllocator]) -> None:
    """Let picamera2 use `allocator`.

    Without it, it asks /dev/dma_heap, which a computer seldom has, and declares one plane where the virtual
    camera fills two.
    """
    picamera2.picamera2.DmaAllocator = allocator


class Sensor:
    """Gives the virtual camera a sense of time: a picture a frame, at the frame rate it was started with.

    Without it, a picture is there as soon as a buffer is: thousands a second. Buffers are held back here
    until it is time to expose them, so SensorTimestamp (libcamera's own) and delays are a real camera's.
    """

    def __init__(self) -> None:
        self.times_ns: list[int] = []
        """SensorTimestamp of each picture that reached picamera2, ever: picture n carries the number n."""
        self.frozen = threading.Event()
        """While it is set, no picture comes, and nothing says why: "Camera frontend has timed out"."""
        self.dark = threading.Event()
        """While it is set, pictures are noise, and take as many bits as they get."""
        self._noise = np.random.default_rng(1)
        self._buffers: SimpleQueue[Any] = SimpleQueue()
        self._stopped = threading.Event()
        self._thread = threading.Thread()

    def pace(self) -> None:
        """Come between picamera2 and libcamera's camera."""
        start, stop, queue_request = _methods("start", "stop", "queue_request")

        def paced_start(camera: Any, controls: dict[Any, Any]) -> None:
            start(camera, controls)
            shortest_us, _ = controls[libcamera.controls.FrameDurationLimits]
            self._stopped.clear()
            self._thread = threading.Thread(
                target=self._expose, args=(lambda buffer: queue_request(camera, buffer), shortest_us / 1e6)
            )
            self._thread.start()

        def paced_stop(camera: Any) -> None:
            self._stopped.set()
            self._thread.join()
            self._buffers = SimpleQueue()
            stop(camera)

        libcamera.Camera.start = paced_start
        libcamera.Camera.stop = paced_stop
        libcamera.Camera.queue_request = lambda _camera, buffer: self._buffers.put(buffer)

    def paint(self) -> None:
        """Number the pictures, before any encoder sees them."""
        reset = Picamera2._reset_flags

        def reset_and_paint(camera: Picamera2) -> None:
            reset(camera)
            camera.pre_callback = self._paint

        Picamera2._reset_flags = reset_and_paint

    def _expose(self, take: Callable[[Any], None], period_s: float) -> None:
        due_s = time.monotonic()
        while not self._stopped.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + period_s, time.monotonic())
            if not self.frozen.is_set():
                with contextlib.suppress(Empty):  # no buffer, no picture: as with a real sensor
                    take(self._buffers.get_nowait())

    def _paint(self, request: CompletedRequest) -> None:
        width, height = request.config["main"]["size"]
        with MappedArray(request, "main") as picture:
            luma = picture.array[:height, :width]
            if self.dark.is_set():
                luma[:] = self._noise.integers(0, 255, luma.shape)
            burn_number(luma, len(self.times_ns))
        self.times_ns.append(request.get_metadata()["SensorTimestamp"])


def _methods(*names: str) -> list[Callable[..., Any]]:
    return [getattr(libcamera.Camera, name) for name in names]
