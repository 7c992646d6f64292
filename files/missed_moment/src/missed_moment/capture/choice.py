"""Which camera and which microphone there are."""

from typing import Literal

from missed_moment.capture.alsa import AlsaMicrophone
from missed_moment.capture.camera import Camera
from missed_moment.capture.microphone import Microphone
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.capture.synthetic_microphone import SyntheticMicrophone
from missed_moment.capture.webcam import WebcamCamera
from missed_moment.config import SoundSettings, VideoSettings
from missed_moment.errors import CameraError

Kind = Literal["auto", "picamera2", "webcam", "synthetic"]


def choose_camera(kind: Kind, video: VideoSettings) -> Camera:
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


def choose_microphone(kind: Kind, sound: SoundSettings) -> Microphone | None:
    """Make the microphone that goes with a kind of camera; None where no sound is wanted. Opens nothing yet."""
    if not sound.enabled:
        return None
    return SyntheticMicrophone() if kind == "synthetic" else AlsaMicrophone(sound.device)
