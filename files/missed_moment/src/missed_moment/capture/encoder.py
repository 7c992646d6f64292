"""H.264 in software, for cameras that deliver raw pictures."""

from collections.abc import Iterator
from fractions import Fraction

import av
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from missed_moment.clock import NS
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.sps import Colour

COLOUR = Colour(primaries=1, transfer=1, matrix=6, full_range=False)
"""The encoder's input. Primaries and transfer (BT.709) and matrix (BT.601) are a webcam's, by the defaults of USB Video
Class 1.5 (3.9.2.6); the range is limited, which every player supports."""
KEYFRAME_NS = NS
"""Time between keyframes. Counted in frames, it would be 4 s for a webcam that slows down to a quarter in low light."""
PEAK, SAVED_S = 1.3, 2.0
"""The most that is ever delivered: so many times the bit rate, and once so many seconds of it ahead.

Without this bound, libx264 saves up what it does not need while nothing moves, and spends it all at once: the ring,
whose bytes are bounded, would then hold a few seconds instead of a minute.
"""
_MICROSECOND = Fraction(1, 1_000_000)


def bounds(bitrate: int) -> dict[str, str]:
    """Return libav's options that bound an encoder of `bitrate` bits a second."""
    return {"maxrate": str(round(PEAK * bitrate)), "bufsize": str(round(SAVED_S * bitrate))}


def colour_options(colour: Colour) -> dict[str, str]:
    """Return libav's options for a colour description in the SPS."""
    return {
        "color_primaries": str(colour.primaries),
        "color_trc": str(colour.transfer),
        "colorspace": str(colour.matrix),
        "color_range": "pc" if colour.full_range else "tv",
    }


class Converter:
    """Converts a webcam's frames to the encoder's input: 4:2:0 of one size, `COLOUR`.

    Without range arguments, PyAV 18 keeps full range; players then clip everything below 16 and above 235.
    """

    def __init__(self, width: int, height: int) -> None:
        """Set up; one converter serves frames of any kind."""
        self._size = width, height
        self._reformatter = VideoReformatter()

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return a frame that the encoder takes."""
        full = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
        bt709 = frame.colorspace == Colorspace.ITU709
        return self._reformatter.reformat(
            frame,
            *self._size,
            "yuv420p",
            src_colorspace=Colorspace.ITU709 if bt709 else Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
        )


class SoftwareEncoder:
    """libx264 as the ring wants it: a keyframe each second with its headers, no B-frames, no delay."""

    def __init__(self, video: VideoFormat, bitrate: int) -> None:
        """Open the encoder; `bitrate` in bits a second."""
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - for the type checker
        context.width, context.height = video.width, video.height
        context.pix_fmt = "yuv420p"
        context.time_base = _MICROSECOND
        context.framerate = Fraction(video.fps).limit_denominator(1001)
        context.bit_rate = bitrate
        context.gop_size = 100 * round(video.fps)  # `encode` asks for each keyframe
        context.max_b_frames = 0
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "sc_threshold": "0",
            **bounds(bitrate),
            **colour_options(COLOUR),
        }
        self._context = context
        self._base_ns: int | None = None
        self._key_due_ns: int | None = None
        self._tolerance_ns = round(NS / video.fps / 2)  # a frame may come this much early

    def encode(self, frame: av.VideoFrame, pts_ns: int) -> Iterator[VideoPacket]:
        """Encode one picture captured at `pts_ns`; yields what the encoder has ready."""
        if self._base_ns is None:
            self._base_ns = pts_ns
        frame.pts = (pts_ns - self._base_ns) // 1000
        frame.time_base = _MICROSECOND
        if self._key_due_ns is None or pts_ns >= self._key_due_ns - self._tolerance_ns:
            frame.pict_type = PictureType.I
            due_ns = pts_ns if self._key_due_ns is None else max(self._key_due_ns, pts_ns - KEYFRAME_NS // 2)
            self._key_due_ns = due_ns + KEYFRAME_NS
        else:
            frame.pict_type = PictureType.NONE  # a webcam's MJPEG calls every picture a keyframe, and x264 obeys
        for packet in self._context.encode(frame):
            assert packet.pts is not None  # noqa: S101 - for the type checker
            yield VideoPacket.of(bytes(packet), self._base_ns + packet.pts * 1000, packet.is_keyframe)
