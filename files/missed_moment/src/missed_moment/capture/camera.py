"""What a camera is to the rest of the house."""

from collections.abc import Callable
from typing import Protocol

from missed_moment.packets import VideoFormat, VideoPacket

VideoSink = Callable[[VideoPacket], None]
"""Takes one packet, from the camera's own thread, and returns at once."""


class Camera(Protocol):
    """Something that films. Started and stopped any number of times, by one thread."""

    name: str

    def start(self, sink: VideoSink) -> VideoFormat:
        """Begin to film into `sink`, with a keyframe each second; returns what is really delivered.

        Raises CameraError, saying what to do, where it cannot. A camera that fails later just falls silent:
        whoever started it watches the packets, because some cameras stop without any error.
        """

    def stop(self) -> None:
        """Stop filming and let go of the device. Harmless when not started. May hang on broken hardware."""
