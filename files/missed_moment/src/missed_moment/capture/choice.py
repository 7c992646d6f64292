"""Which camera there is."""

from typing import Literal

from missed_moment.capture.camera import Camera
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.capture.webcam import WebcamCamera
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError

Kind = Literal["auto", "picamera2", "webcam", "synthetic"]


def choose(kind: Kind, video: VideoSettings) -> Camera:
    """Make the camera of a kind; `auto` is libcamera's where it finds one, else a webcam. Opens nothing yet.

    Raises CameraError where picamera2 was asked for by name and is not installed.
    """
    if kind == "synthetic":
        return SyntheticCamera(video)
    if kind == "webcam":
        return WebcamCamera(video)
    try:
        from missed_moment.capture.picamera2 import Picamera2Camera, found  # noqa: PLC0415 - not everywhere
    except ImportError as error:
        if kind == "auto":
            return WebcamCamera(video)
        raise CameraError(f"picamera2 cannot be used ({error}): `apt install python3-picamera2`") from error
    return Picamera2Camera(video) if kind == "picamera2" or found() else WebcamCamera(video)
