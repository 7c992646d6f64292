"""Sizes and colour descriptions are parsed from the SPS that libx264 writes."""

import contextlib
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.errors import BitstreamError
from missed_moment.h264 import SPS
from missed_moment.packets import find_nals
from missed_moment.sps import Colour, parse_sps

PROFILES: dict[str, dict[str, str]] = {
    "baseline": {"preset": "ultrafast"},
    "main": {"x264-params": "8x8dct=0"},
    "high": {"preset": "medium"},
}


def sps_of(options: dict[str, str], width: int = 256, height: int = 144, codec: str = "libx264") -> bytes:
    """The SPS that libx264 writes with such options."""
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.options = {"tune": "zerolatency", **options}
    planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = 0
    data = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    return next(data[begin:end] for begin, end in find_nals(data) if data[begin] & 0x1F == SPS)


@pytest.mark.parametrize(("width", "height"), [(256, 144), (1920, 1080), (640, 360), (322, 242), (16, 16)])
@pytest.mark.parametrize("profile", PROFILES)
def test_the_size_is_what_was_encoded(width: int, height: int, profile: str) -> None:
    sps = sps_of(PROFILES[profile], width, height)
    assert sps[1] == {"baseline": 66, "main": 77, "high": 100}[profile]
    assert parse_sps(sps)[:2] == (width, height)


@pytest.mark.parametrize(
    "options",
    [
        {"x264-params": "cqm=jvt:8x8dct=1"},
        {"x264-params": "interlaced=1"},
        {"x264-params": "sar=40/33:overscan=show"},
        {"x264-params": "bluray-compat=1:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500"},
        {"bf": "3", "preset": "slow"},
    ],
)
def test_other_fields_are_skipped(options: dict[str, str]) -> None:
    sps = sps_of({**options, "color_range": "tv", "colorspace": "smpte170m"}, 640, 360)
    assert parse_sps(sps)[:2] == (640, 360)
    assert parse_sps(sps).colour == Colour(2, 2, 6, full_range=False)


@pytest.mark.parametrize(
    ("options", "colour"),
    [
        ({}, None),
        ({"color_range": "pc"}, Colour(2, 2, 2, full_range=True)),
        (
            {"color_range": "tv", "color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709"},
            Colour(1, 1, 1, full_range=False),
        ),
        ({"color_range": "pc", "colorspace": "bt470bg"}, Colour(2, 2, 5, full_range=True)),
    ],
)
def test_the_colour_description_is_parsed(options: dict[str, str], colour: Colour | None) -> None:
    assert parse_sps(sps_of(options)).colour == colour


@given(st.binary(max_size=40))
def test_random_bytes_raise_nothing_but_bitstream_error(data: bytes) -> None:
    with contextlib.suppress(BitstreamError):
        parse_sps(b"\x67" + data)
