"""Webcams, through Video4Linux."""

import errno
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.error import FFmpegError

from missed_moment.capture import v4l2
from missed_moment.capture.camera import VideoSink
from missed_moment.capture.capture_times import CaptureTimes
from missed_moment.capture.encoder import Converter, SoftwareEncoder
from missed_moment.capture.worker import Worker
from missed_moment.clock import NS
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError
from missed_moment.packets import VideoFormat

log = logging.getLogger(__name__)

NO_WEBCAM = "no webcam is found: plug one in"
_NO_DEVICE = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTTY, errno.EINVAL})
"""The device is gone, or its node does not know VIDIOC_QUERYCAP."""

MANY_DAMAGED = 60
"""So many damaged frames in a row (2 s at 30 fps) are a fault of the webcam; fewer are skipped."""


class Node(NamedTuple):
    """A video device; `key` stays the same while it is plugged into the same port, `path` may not."""

    key: str
    path: Path


def nodes(dev: Path = Path("/dev"), sysfs: Path = Path("/sys/class/video4linux")) -> list[Node]:
    """List the video devices there are, those on USB first, then in the kernel's order. Most nodes of a Pi never film.

    Asks none of them: opening a broken device may block.
    """
    paths = sorted(dev.glob("video[0-9]*"), key=lambda path: int(path.name.removeprefix("video")))
    found = [Node(_key(sysfs / path.name, path), path) for path in paths]
    return sorted(found, key=lambda node: "/usb" not in node.key)


def _key(entry: Path, path: Path) -> str:
    try:
        return f"{(entry / 'device').resolve(strict=True)}#{(entry / 'index').read_text().strip()}"
    except OSError:
        return str(path)


class WebcamCamera:
    """A Video4Linux device that delivers frames by itself.

    Their times are the driver's own (CLOCK_MONOTONIC when the first byte arrived), which V4L2 passes through.
    """

    name = "webcam"

    def __init__(
        self,
        video: VideoSettings,
        path: Path,
        open_device: Callable[..., InputContainer] = av.open,
        query: Callable[[Path], v4l2.Capability] = v4l2.query,
    ) -> None:
        """Set up for `video` from the node `path`; `open_device` opens it as `av.open` does."""
        self._video = video
        self._path = path
        self._open = open_device
        self._query = query
        self._worker = Worker("camera")

    def start(self, sink: VideoSink) -> VideoFormat:
        """Begin to film. Raises CameraError; ENODEV if the node is gone, or is not that of a webcam."""
        container = self._open_node(self._card())
        stream = container.streams.video[0]
        video = VideoFormat(
            stream.width // 2 * 2, stream.height // 2 * 2, float(stream.average_rate or self._video.fps)
        )
        # Closed when no frame is left, in a traceback neither: frames lie in the device's own memory, and giving one
        # back to a device that is closed already ends the process (FFmpeg, libavdevice/v4l2.c, mmap_release_buffer).
        self._worker.start(lambda: self._encode(container, video, sink), container.close)
        return video

    def stop(self) -> None:
        """Stop filming and close the device."""
        self._worker.stop()

    def _card(self) -> str:
        try:
            capability = self._query(self._path)
        except OSError as error:
            if error.errno in _NO_DEVICE:
                raise CameraError(errno.ENODEV, NO_WEBCAM) from error
            number = errno.EBUSY if error.errno == errno.EBUSY else errno.EIO
            raise CameraError(number, f"{self._path} cannot be opened ({error.strerror})") from error
        if not capability.films:
            raise CameraError(errno.ENODEV, NO_WEBCAM)
        return capability.card

    def _open_node(self, card: str) -> InputContainer:
        refused: dict[str, None] = {}
        number = errno.EBUSY
        options = {
            "video_size": f"{self._video.width}x{self._video.height}",
            "framerate": str(self._video.fps),
        }
        # Most webcams deliver their full rate only as MJPEG; what cannot is asked for whatever it has.
        for wish in ({**options, "input_format": "mjpeg"}, options, {}):
            try:
                return self._open(str(self._path), format="v4l2", options=wish)
            except (FFmpegError, OSError) as error:
                refused[error.strerror or str(error)] = None
                number = number if error.errno == errno.EBUSY else errno.EIO
        advice = f"stop the program that uses it (`sudo fuser -v {self._path}` lists it)"
        raise CameraError(
            number,
            f"the webcam {card} ({self._path}) delivers no frames ({', '.join(refused)}): "
            + (advice if number == errno.EBUSY else f"{advice}, or plug it in again"),
        )

    def _encode(self, container: InputContainer, video: VideoFormat, sink: VideoSink) -> None:
        encoder = SoftwareEncoder(video, round(self._video.bitrate_mbps * 1e6))
        converter = Converter(video.width, video.height)
        damaged = _DamagedFrames(self._path)
        for frame, pts_ns in _frames(container, damaged):
            if self._worker.ends:
                return
            try:
                packets = list(encoder.encode(converter.convert(frame), pts_ns))
            except FFmpegError as error:
                damaged.skip(str(error))
                continue
            damaged.end_row()
            for packet in packets:
                sink(packet)


class _DamagedFrames:
    """Counts the frames that are skipped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._in_a_row = 0
        self._reported = False

    def end_row(self) -> None:
        """Note a good frame."""
        self._in_a_row = 0

    def skip(self, reason: str) -> None:
        """Note a damaged frame. Raises CameraError if it is one of too many in a row."""
        self._in_a_row += 1
        if not self._reported:
            self._reported = True
            log.warning("the webcam %s delivered a damaged frame (%s): such frames are skipped", self._path, reason)
        if self._in_a_row >= MANY_DAMAGED:
            raise CameraError(
                errno.EIO,
                f"the last {MANY_DAMAGED} frames of the webcam {self._path} are damaged ({reason}): plug it into "
                "another port, without a hub",
            )


def _frames(container: InputContainer, damaged: _DamagedFrames) -> Iterator[tuple[av.VideoFrame, int]]:
    """Yield decoded frames and when they were captured; the damaged ones are skipped.

    libavdevice passes on a buffer that the driver marked as damaged as a packet of 0 bytes, which a decoder would take
    for the end of the stream (v4l2.c, mmap_read_frame). EIO may be a temporary fault (the kernel's documentation of
    VIDIOC_DQBUF).
    """
    times = CaptureTimes("webcam")
    packets = container.demux(video=0)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            damaged.skip(error.strerror or str(error))
            packets = container.demux(video=0)  # a generator that raised has ended
            continue
        pts, time_base = packet.pts, packet.time_base
        captured_ns = times.of(None if pts is None or time_base is None else int(Fraction(pts) * time_base * NS))
        try:
            frames = packet.decode() if packet.size else []
        except FFmpegError as error:
            damaged.skip(str(error))
            continue
        if not frames:
            damaged.skip("it holds no image")
        for frame in frames:
            assert isinstance(frame, av.VideoFrame)  # noqa: S101 - for the type checker
            yield frame, captured_ns
