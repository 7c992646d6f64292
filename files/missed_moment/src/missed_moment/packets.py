"""What flows from the capture side into the ring: encoded pictures and raw sound, each with its capture time.

All times are nanoseconds of CLOCK_MONOTONIC. Nothing here is ever copied after it was captured: ring,
snapshots and writer pass references to the same `bytes`.
"""

import re
from typing import NamedTuple

from missed_moment.clock import NS
from missed_moment.sps import Colour

_SLICES = range(1, 6)
_START_CODE = re.compile(rb"\x00\x00\x01")  # up to twice as fast as bytes.find


class VideoPacket(NamedTuple):
    """One encoded picture.

    `data` is one H.264 access unit in Annex B; a keyframe begins with its SPS and PPS. Pictures arrive in
    the order in which they are shown (no B-frames), so `pts_ns` is the decoding time as well. `nals` tells
    where its NAL units begin and end: found as it arrives (0.05 ms a picture), because looking for them in a
    whole minute after the press would take longer than to write that minute to a good disk.
    """

    data: bytes
    pts_ns: int
    keyframe: bool
    nals: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, data: bytes, pts_ns: int, keyframe: bool) -> "VideoPacket":
        """Make a packet of an access unit as the encoder sent it."""
        return cls(data, pts_ns, keyframe, find_nals(data))

    @property
    def holds_picture(self) -> bool:
        """Whether it has a coded slice (H.264 table 7-1): an encoder's buffer may hold parameter sets alone."""
        return any(end > begin and self.data[begin] & 0x1F in _SLICES for begin, end in self.nals)


SAMPLE_RATE = 48_000
"""Samples a second, as the sound card counts a second: its clock is its own, and some parts in 10,000 off."""
SAMPLE_BYTES = 2
"""One channel, signed 16-bit little-endian: what one microphone hears."""


class PcmBlock(NamedTuple):
    """One period of sound, `SAMPLE_RATE` and `SAMPLE_BYTES`.

    `pts_ns` is when its first sample was captured, as well as somebody can tell: late by some milliseconds at
    times, early never by much (see `timeline`). `first_sample` counts the samples before it since the card was
    started, or started again after it had lost some: a block that does not go on where the one before ended has a
    gap before it.
    """

    data: bytes
    pts_ns: int
    first_sample: int

    @property
    def samples(self) -> int:
        """How many samples it holds."""
        return len(self.data) // SAMPLE_BYTES

    @property
    def end_ns(self) -> int:
        """When the next one begins, if none is lost and the card is right."""
        return self.pts_ns + self.samples * NS // SAMPLE_RATE


Packet = VideoPacket | PcmBlock


def find_nals(access_unit: bytes) -> tuple[tuple[int, int], ...]:
    """Return where the NAL units of an Annex B access unit begin and end, start codes excluded."""
    codes = [match.span() for match in _START_CODE.finditer(access_unit)]
    ends = [*(start for start, _ in codes), len(access_unit)][1:]
    return tuple((begin, _without_zeros(access_unit, begin, end)) for (_, begin), end in zip(codes, ends, strict=True))


def _without_zeros(data: bytes, begin: int, end: int) -> int:
    # trailing_zero_8bits and the first byte of a four-byte start code are no part of a NAL (B.1.1).
    while end > begin and data[end - 1] == 0:
        end -= 1
    return end


class VideoFormat(NamedTuple):
    """What a camera really delivers, which may differ from what it was asked for.

    `colour` is the camera's colour description, for streams whose SPS has none; None if it is not known.
    """

    width: int
    height: int
    fps: float
    colour: Colour | None = None
