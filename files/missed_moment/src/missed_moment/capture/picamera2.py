"""The Raspberry Pi's own cameras, through picamera2 and libcamera.

Importable only where picamera2 is: on Raspberry Pi OS, or where the tests have built it.
"""

import errno
import os
from typing import Any

from picamera2 import Picamera2
from picamera2.encoders import Encoder, H264Encoder
from picamera2.outputs import Output

from missed_moment.capture.camera import VideoSink
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError
from missed_moment.packets import VideoFormat, VideoPacket


def found() -> bool:
    """Tell whether libcamera finds any camera."""
    return bool(Picamera2.global_camera_info())


class Picamera2Camera:
    """The first camera that libcamera finds.

    `H264Encoder` is the board's own encoder up to the Pi 4, and libx264 on the Pi 5. YUV420 is what both take
    without converting: other formats cost a third more of the processor.
    """

    name = "picamera2"

    def __init__(self, video: VideoSettings) -> None:
        self._video = video
        self._camera: Picamera2 | None = None

    def start(self, sink: VideoSink) -> VideoFormat:
        """Begin to film. Raises CameraError where libcamera finds no camera or cannot have it."""
        video = self._video
        try:
            camera = _open()
        except RuntimeError as error:  # none found, in use, or not answering
            raise CameraError(
                errno.EIO if found() else errno.ENODEV,
                f"no camera can be opened through libcamera ({error}): is its cable seated, "
                "blue side to the contacts' back, and no other program using it?",
            ) from error
        self._camera = camera
        try:
            main = {"size": (video.width, video.height), "format": "YUV420"}
            camera.configure(camera.create_video_configuration(main, controls={"FrameRate": video.fps}))
            encoder = H264Encoder(
                bitrate=round(video.bitrate_mbps * 1e6), repeat=True, iperiod=video.fps, framerate=video.fps
            )
            camera.start_recording(encoder, _RingOutput(encoder, sink))
            width, height = camera.camera_configuration()["main"]["size"]
        except (RuntimeError, OSError) as error:
            self.stop()
            raise CameraError(f"the camera does not start with {video} ({error}): try a smaller picture") from error
        return VideoFormat(width, height, video.fps)

    def stop(self) -> None:
        """Stop filming and let go of the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.stop_recording()
            camera.close()


def _open() -> Picamera2:
    """Open the first camera.

    picamera2 0.3.38 keeps both ends of a pipe where it cannot, and we try for as long as we run.
    """
    camera = Picamera2.__new__(Picamera2)
    try:
        camera.__init__()
    except RuntimeError:
        camera.notifymeread.close()
        os.close(camera.notifyme_w)
        raise
    return camera


class _RingOutput(Output):  # type: ignore[misc]  # picamera2 has no type hints
    """Passes packets on, and nothing else: it is called where a delay of 200 ms would starve the camera."""

    def __init__(self, encoder: Encoder, sink: VideoSink) -> None:
        super().__init__()
        self._encoder = encoder
        self._sink = sink

    def outputframe(
        self,
        frame: bytes,
        keyframe: bool = True,
        timestamp: int = 0,
        packet: Any = None,  # noqa: ARG002 - the interface is picamera2's
        audio: bool = False,  # noqa: ARG002
    ) -> None:
        """Take one encoded picture; `timestamp` is in microseconds since the encoder's first picture.

        `firsttimestamp` is that picture's SensorTimestamp: CLOCK_MONOTONIC at the start of its exposure.
        """
        self._sink(VideoPacket.of(frame, (self._encoder.firsttimestamp + timestamp) * 1000, keyframe))
