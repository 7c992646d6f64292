"""One small picture of a moment."""

from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from missed_moment.errors import ClipError

WIDTH = 320
"""Pixels; the height follows the picture."""


def from_keyframe(access_unit: bytes) -> bytes:
    """Decode an Annex B keyframe and return it as a JPEG, `WIDTH` pixels wide.

    Raises ClipError where it cannot be decoded.
    """
    try:
        decoder = av.CodecContext.create("h264", "r")
        frames = [*decoder.decode(av.Packet(access_unit)), *decoder.decode(None)]
        return _jpeg(frames[0])
    except (FFmpegError, IndexError) as error:
        raise ClipError(f"the keyframe cannot be decoded for a thumbnail ({error})") from error


def from_clip(clip: Path) -> bytes:
    """Return the first picture of a clip as `from_keyframe` does."""
    try:
        with av.open(str(clip)) as container:
            return _jpeg(next(container.decode(video=0)))
    except (FFmpegError, StopIteration) as error:
        raise ClipError(f"no picture of {clip} can be decoded for a thumbnail ({error})") from error


def _jpeg(frame: av.VideoFrame) -> bytes:
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width = WIDTH
    encoder.height = max(2, round(frame.height * WIDTH / frame.width / 2) * 2)
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    small = frame.reformat(encoder.width, encoder.height, "yuvj420p")
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
