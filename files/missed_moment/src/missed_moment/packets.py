"""What flows from the capture side into the ring: encoded pictures and raw sound, each with its capture time.

All times are nanoseconds of CLOCK_MONOTONIC. Nothing here is ever copied after it was captured: ring,
snapshots and writer pass references to the same `bytes`.
"""

from typing import NamedTuple


class VideoPacket(NamedTuple):
    """One encoded picture.

    `data` is one H.264 access unit in Annex B; a keyframe begins with its SPS and PPS. Pictures arrive in
    the order in which they are shown (no B-frames), so `pts_ns` is the decoding time as well.
    """

    data: bytes
    pts_ns: int
    keyframe: bool


class PcmBlock(NamedTuple):
    """One period of sound.

    `data` is interleaved signed 16-bit little-endian PCM. `pts_ns` is when its first sample was captured, as
    the sound card's clock told it; `first_sample` counts samples per channel since the card was opened.
    """

    data: bytes
    pts_ns: int
    first_sample: int


Packet = VideoPacket | PcmBlock


class VideoFormat(NamedTuple):
    """What a camera really delivers, which may differ from what it was asked for."""

    width: int
    height: int
    fps: float
