"""A camera without hardware: real time, real H.264, and a picture from which a program can read what it is."""

from datetime import datetime

import av
import numpy as np

from missed_moment import clock
from missed_moment.capture.camera import VideoSink
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.capture.painting import GREY, WHITE, Luma, burn_number, draw_dial, draw_text
from missed_moment.capture.worker import Worker
from missed_moment.clock import NS
from missed_moment.config import VideoSettings
from missed_moment.packets import VideoFormat, VideoPacket

MARK = bytes.fromhex("d5a1c37e5f0b4e93b18f6d6f6d656e74")
"""In every packet, followed by its picture's number in ten digits: so it can be searched for where it must not be."""
_SEI, _USER_DATA, _STOP = b"\x00\x00\x01\x06", 5, b"\x80"
"""H.264 7.3.2.3, and the payload type of D.1.7: whatever a user likes, after a UUID."""
_SLICES = range(1, 6)
FLASH_S = 0.1
"""How long a flash is, from each whole second of CLOCK_MONOTONIC on."""


def paint(luma: Luma, number: int, pts_ns: int, fps: float) -> None:
    """Paint the picture whose exposure begins at `pts_ns` and lasts until the next: clock, dial, number, or the flash.

    As in a real camera, a picture that a flash falls into the middle of gets a part of its light.
    """
    lit = _share_lit(pts_ns / NS % 1, 1 / fps)
    luma[:] = round(GREY + (WHITE - GREY) * lit)
    if not lit:
        height, width = luma.shape
        now = datetime.now().astimezone()
        digits = height // 8
        draw_text(luma, f"{now:%H:%M:%S}.{now.microsecond // 1000:03}", height // 4, width // 12, digits)
        draw_text(luma, str(number), height // 2, width // 12, digits)
        draw_dial(luma, pts_ns / NS % 1, (height * 2 // 3, width * 3 // 4), height // 4)
    burn_number(luma, number)


def _marked(packet: VideoPacket, number: int) -> VideoPacket:
    text = MARK + b"%010d" % number
    at = next(begin for begin, _ in packet.nals if packet.data[begin] & 0x1F in _SLICES) - len(_SEI) + 1
    data = packet.data[:at] + _SEI + bytes([_USER_DATA, len(text)]) + text + _STOP + packet.data[at:]
    return VideoPacket.of(data, packet.pts_ns, packet.keyframe)


def _share_lit(begin_s: float, length_s: float) -> float:
    """Return which part of an exposure a flash lights; it begins so long after a whole second."""
    end_s = begin_s + length_s
    lit_s = max(0.0, min(end_s, FLASH_S) - begin_s) + max(0.0, min(end_s, 1 + FLASH_S) - 1)
    return lit_s / length_s


class SyntheticCamera:
    """Films a moving clock. Frame n is captured at start + n / fps, and painted with what it was captured at."""

    name = "synthetic"

    def __init__(self, video: VideoSettings) -> None:
        self._format = VideoFormat(video.width, video.height, video.fps)
        self._bitrate = round(video.bitrate_mbps * 1e6)
        self._worker = Worker("camera")
        self._next_number = 0  # goes on through restarts, so that no two pictures ever look alike

    def start(self, sink: VideoSink) -> VideoFormat:
        """Begin to film. Raises nothing."""
        self._worker.start(lambda: self._film(sink))
        return self._format

    def stop(self) -> None:
        """Stop filming."""
        self._worker.stop()

    def _film(self, sink: VideoSink) -> None:
        width, height, fps = self._format[:3]
        encoder = SoftwareEncoder(self._format, self._bitrate)
        planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        start_ns, taken = clock.monotonic_ns(), 0
        while True:
            pts_ns = start_ns + round(taken * NS / fps)
            if self._worker.ends_within((pts_ns - clock.monotonic_ns()) / NS):
                return
            paint(planes[:height], self._next_number, pts_ns, fps)
            for packet in encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"), pts_ns):
                sink(_marked(packet, self._next_number))
            taken += 1
            self._next_number += 1
