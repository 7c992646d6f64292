"""Which camera there is."""

import importlib.util
from typing import Literal

from missed_moment.capture.camera import Camera
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.capture.webcam import WebcamCamera
from missed_moment.config import VideoSettings

Kind = Literal["auto", "picamera2", "webcam", "synthetic"]


def choose(kind: Kind, video: VideoSettings) -> Camera:
    """Make the camera of a kind; `auto` is libcamera's where it finds one, else a webcam. Opens nothing yet.

    Raises ImportError where picamera2 was asked for by name and is not installed.
    """
    if kind == "synthetic":
        return SyntheticCamera(video)
    if kind == "picamera2" or (kind == "auto" and _libcamera_finds_one()):
        from missed_moment.capture.picamera2 import Picamera2Camera  # noqa: PLC0415 - exists on a Pi only

        return Picamera2Camera(video)
    return WebcamCamera(video)


def _libcamera_finds_one() -> bool:
    if importlib.util.find_spec("picamera2") is None:
        return False
    from picamera2 import Picamera2  # noqa: PLC0415 - exists on a Pi only

    return bool(Picamera2.global_camera_info())
