"""A USB webcam, through Video4Linux."""

import errno
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from missed_moment import clock
from missed_moment.capture.camera import VideoSink
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.capture.worker import Worker
from missed_moment.clock import NS
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError
from missed_moment.packets import VideoFormat

log = logging.getLogger(__name__)


def devices() -> list[Path]:
    """List the video devices there are, in the kernel's order; some of them may not film."""
    return sorted(Path("/dev").glob("video[0-9]*"), key=lambda path: int(path.name.removeprefix("video")))


class WebcamCamera:
    """The first Video4Linux device that delivers pictures.

    Their times are the driver's own (CLOCK_MONOTONIC when the first byte arrived), which V4L2 passes through.
    """

    name = "webcam"

    def __init__(self, video: VideoSettings, open_device: Callable[..., InputContainer] = av.open) -> None:
        """Set up for `video`; `open_device` opens a path as `av.open` does."""
        self._video = video
        self._open = open_device
        self._worker = Worker("camera")

    def start(self, sink: VideoSink) -> VideoFormat:
        """Begin to film. Raises CameraError where no device can be opened."""
        container = self._open_first()
        stream = container.streams.video[0]
        video = VideoFormat(
            stream.width // 2 * 2, stream.height // 2 * 2, float(stream.average_rate or self._video.fps)
        )
        self._worker.start(lambda: self._film(container, video, sink))
        return video

    def stop(self) -> None:
        """Stop filming and close the device."""
        self._worker.stop()

    def _open_first(self) -> InputContainer:
        refused = []
        options = {
            "video_size": f"{self._video.width}x{self._video.height}",
            "framerate": str(self._video.fps),
        }
        for device in devices():
            # Most webcams deliver their full rate only as MJPEG; what cannot is asked for whatever it has.
            for wish in ({**options, "input_format": "mjpeg"}, options, {}):
                try:
                    return self._open(str(device), format="v4l2", options=wish)
                except (FFmpegError, OSError) as error:
                    refused.append(f"{device}: {error}")
        raise CameraError(
            errno.EIO if refused else errno.ENODEV,
            "no webcam delivers pictures: " + ("; ".join(refused) or "no /dev/video* is there; plug one in"),
        )

    def _film(self, container: InputContainer, video: VideoFormat, sink: VideoSink) -> None:
        try:
            self._encode(container, video, sink)
        except (FFmpegError, OSError) as error:
            log.error("the webcam stopped delivering (%s)", str(error))  # a record of itself would keep its traceback
        # Only now that no frame is left, in a traceback neither: frames lie in the device's own memory, and giving one
        # back to a device that is closed already ends the process (FFmpeg, libavdevice/v4l2.c, mmap_release_buffer).
        container.close()

    def _encode(self, container: InputContainer, video: VideoFormat, sink: VideoSink) -> None:
        encoder = SoftwareEncoder(video, round(self._video.bitrate_mbps * 1e6))
        for frame, pts_ns in _frames(container):
            if self._worker.ends:
                return
            picture = frame.reformat(video.width, video.height, "yuv420p")
            for packet in encoder.encode(picture, pts_ns):
                sink(packet)


def _frames(container: InputContainer) -> Iterator[tuple[av.VideoFrame, int]]:
    """Yield decoded pictures and when they were captured; a frame without a time was captured just now."""
    for frame in container.decode(video=0):
        if frame.pts is None or frame.time_base is None:
            yield frame, clock.monotonic_ns()
        else:
            yield frame, int(Fraction(frame.pts) * frame.time_base * NS)
