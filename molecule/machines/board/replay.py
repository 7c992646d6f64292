# ruff: noqa: INP001 - it lies alone in a directory of the device
"""Plays a recorded stream in place of the synthetic camera, for the one process that has this in its path.

An emulated processor cannot encode 1280x720 at 30 frames a second. The packets and the times at which they come are
those of a camera: one that is not served within `BUFFERS` frames drops frames.
"""

import mmap
import struct
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from missed_moment import clock
from missed_moment.capture import synthetic
from missed_moment.capture.camera import VideoSink
from missed_moment.capture.worker import Worker
from missed_moment.clock import NS
from missed_moment.config import VideoSettings
from missed_moment.packets import VideoFormat, VideoPacket

STREAM = Path("/data/stream")
BUFFERS = 6
"""As many as picamera2 gives a camera for video (`create_video_configuration`, buffer_count)."""
HEAD = struct.Struct("<I?")


def packets() -> Iterator[tuple[bytes, bool]]:
    """Yield access units and whether they are keyframes, from the beginning again once all have been."""
    with STREAM.open("rb") as file:
        stream = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    places, at = [], 0
    while at < len(stream):
        size, keyframe = HEAD.unpack_from(stream, at)
        places.append((at + HEAD.size, size, keyframe))
        at += HEAD.size + size
    for begin, size, keyframe in cycle(places):
        yield stream[begin : begin + size], keyframe


class ReplayCamera:
    """Films what was recorded, in the format that it is asked for; loses what nobody takes in time."""

    name = "recorded"

    def __init__(self, video: VideoSettings) -> None:
        """Set up for the format in which the stream was recorded."""
        self._format = VideoFormat(video.width, video.height, video.fps)
        self._worker = Worker("camera")

    def start(self, sink: VideoSink) -> VideoFormat:
        """Begin to film."""
        self._worker.start(lambda: self._film(sink))
        return self._format

    def stop(self) -> None:
        """Stop filming."""
        self._worker.stop()

    def _film(self, sink: VideoSink) -> None:
        frame_ns = NS / self._format.fps
        start_ns, whole = clock.monotonic_ns(), False
        for number, (data, keyframe) in enumerate(packets()):
            begin_ns = start_ns + round(number * frame_ns)
            late_ns = clock.monotonic_ns() - begin_ns - round(frame_ns)
            if self._worker.ends_within(-late_ns / NS):
                return
            # What a lost frame was needed for is lost with it.
            whole = late_ns < BUFFERS * frame_ns and (whole or keyframe)
            if whole:
                sink(VideoPacket.of(data, begin_ns, keyframe))


synthetic.SyntheticCamera = ReplayCamera  # type: ignore[misc, assignment]
