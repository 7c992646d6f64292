"""A process of its own, in which no camera was opened yet: prints whether each failed look ended its CameraManager."""

import weakref
from pathlib import Path
from typing import Any

import shims  # noqa: F401 - what picamera2 imports and nobody has
from picamera2 import Picamera2

from missed_moment.capture.picamera2 import Picamera2Camera
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError

real = Picamera2.global_camera_info
managers: list[Any] = []


def only_usb() -> list[Any]:
    """List the cameras as a board does that has a USB webcam alone."""
    cameras = [camera for camera in real() if "/usb" in camera["Id"]]
    managers.append(weakref.ref(Picamera2._cm.cms))
    return cameras


Picamera2.global_camera_info = staticmethod(only_usb)
for _ in range(5):
    try:
        Picamera2Camera(VideoSettings()).start(lambda _: None)
    except CameraError as error:
        print(error.errno, managers[-1]() is None, len(list(Path("/proc/self/fd").iterdir())))
