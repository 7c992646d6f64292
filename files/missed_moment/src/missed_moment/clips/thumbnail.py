"""One small picture of a moment."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from missed_moment.errors import ClipError
from missed_moment.sps import UNSPECIFIED

WIDTH = 320
"""Pixels; the height follows the picture."""
_HD = (1280, 720)


def from_keyframe(access_unit: bytes, rotation: int = 0) -> bytes:
    """Decode an Annex B keyframe and return it as a JPEG, turned clockwise by `rotation` and then `WIDTH` pixels wide.

    Raises ClipError where it cannot be decoded.
    """
    try:
        decoder = av.CodecContext.create("h264", "r")
        frames = [*decoder.decode(av.Packet(access_unit)), *decoder.decode(None)]
        return _jpeg(frames[0], rotation)
    except (FFmpegError, IndexError) as error:
        raise ClipError(f"the keyframe cannot be decoded for a thumbnail ({error})") from error


def from_clip(clip: Path) -> bytes:
    """Return the first picture of a clip as `from_keyframe` does, turned as players turn it."""
    try:
        with av.open(str(clip)) as container:
            frame = next(container.decode(video=0))
            return _jpeg(frame, -frame.rotation % 360)  # libav counts the other way round
    except (FFmpegError, StopIteration) as error:
        raise ClipError(f"no picture of {clip} can be decoded for a thumbnail ({error})") from error


def _rgb(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """Convert a frame. PyAV 14.2 ignores its matrix; without one in the stream, players choose by the size."""
    hd = frame.width >= _HD[0] and frame.height >= _HD[1]
    if frame.colorspace != Colorspace.ITU709 and not (frame.colorspace == UNSPECIFIED and hd):
        return frame.reformat(width, height, "rgb24")
    return VideoReformatter().reformat(
        frame,
        width,
        height,
        "rgb24",
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU601,  # of no account for RGB, but if it were the same, 14.2 would set neither
        src_color_range=ColorRange.JPEG if frame.color_range == ColorRange.JPEG else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    )


def _jpeg(frame: av.VideoFrame, rotation: int) -> bytes:
    on_its_side = rotation % 180 != 0
    width, height = (frame.height, frame.width) if on_its_side else (frame.width, frame.height)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width = WIDTH
    encoder.height = max(2, round(height * WIDTH / width / 2) * 2)
    encoder.pix_fmt = "yuvj420p"
    encoder.time_base = Fraction(1, 1)
    size = (encoder.height, encoder.width) if on_its_side else (encoder.width, encoder.height)
    turned = np.rot90(_rgb(frame, *size).to_ndarray(), -rotation // 90)
    small = av.VideoFrame.from_ndarray(np.ascontiguousarray(turned, dtype=np.uint8), format="rgb24").reformat(
        format="yuvj420p"
    )
    small.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
