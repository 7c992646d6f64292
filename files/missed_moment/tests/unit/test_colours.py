"""Colour bars come out of a clip as they went into the webcam, and the clip has the colour description.

The expected values are computed here from RGB by the formulas of ITU-T H.273 (8.3), with nothing of libav's.
"""

import itertools
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from test_capture import Driver, webcam_camera

from missed_moment.capture import encoder as encoding
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.clips.thumbnail import from_keyframe
from missed_moment.h264 import ParameterSets
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.sps import UNSPECIFIED, Colour
from rig import SMALL_SETTINGS, order_of, writer_for

Floats = NDArray[np.float64]

BARS = [
    *itertools.product((255, 0), repeat=3),  # white to black
    *((4, 4, 4), (251, 251, 251), (64, 128, 192), (200, 120, 40), (128, 128, 128)),  # what full range loses, and skin
]
HEIGHT, BAR = 64, 32
WIDTH = BAR * len(BARS)
KR_KB = {1: (0.2126, 0.0722), 6: (0.299, 0.114), UNSPECIFIED: (0.299, 0.114)}
TOLERANCE = 2.5
"""Of 255: rounding twice, and what JPEG and x264 lose of a flat colour."""


def ycc(matrix: int, full_range: bool) -> Floats:
    """Luma and chroma of each bar."""
    red, green, blue = np.array(BARS, dtype=float).T / 255
    kr, kb = KR_KB[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    planes = [luma, (blue - luma) / (1 - kb) / 2, (red - luma) / (1 - kr) / 2]
    scales = [(0, 255), (128, 255), (128, 255)] if full_range else [(16, 219), (128, 224), (128, 224)]
    return np.array([offset + scale * plane for plane, (offset, scale) in zip(planes, scales, strict=True)])


def painted(values: Floats, pixels: str) -> av.VideoFrame:
    """A frame of bars; chroma is shared by two pixels in a row."""
    values = np.clip(np.round(values), 0, 255).astype(np.uint8)
    luma, blue, red = (np.repeat(plane, BAR // share) for plane, share in zip(values, (1, 2, 2), strict=True))
    frame = av.VideoFrame(WIDTH, HEIGHT, pixels)
    if pixels == "yuyv422":
        row = np.empty(2 * WIDTH, np.uint8)
        row[0::2], row[1::4], row[3::4] = luma, blue, red
        rows = [row]
    else:
        rows = [luma, blue, red]
    for plane, row in zip(frame.planes, rows, strict=True):
        filled = np.zeros((plane.height, plane.line_size), np.uint8)
        filled[:, : len(row)] = row
        plane.update(filled.tobytes())
    return frame


def read(frame: av.VideoFrame) -> Floats:
    """Luma and chroma in the middle of each bar."""
    assert frame.format.name in {"yuv420p", "yuvj420p"}
    middle = (np.arange(len(BARS)) + 0.5) * frame.width / len(BARS)
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
        planes.append(rows[plane.height // 2, (middle * plane.width / frame.width).astype(int)])
    return np.array(planes, dtype=float)


def filmed(path: Path, codec: str, pixels: str, full_range: bool) -> Path:
    """A second of bars as a webcam delivers them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.codec_context.time_base = Fraction(1, 30)
        stream.codec_context.bit_rate = 40_000_000
        for number in range(30):
            frame = painted(ycc(6, full_range), pixels)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def packets_of(path: Path) -> tuple[VideoFormat, list[VideoPacket]]:
    packets: list[VideoPacket] = []
    done = threading.Event()

    def sink(packet: VideoPacket) -> None:
        packets.append(packet)
        if len(packets) == 30:
            done.set()

    settings = SMALL_SETTINGS.model_copy(update={"width": WIDTH, "height": HEIGHT, "bitrate_mbps": 8.0})
    camera = webcam_camera(lambda *_, **__: Driver(path), settings)
    video = camera.start(sink)
    assert done.wait(20)
    camera.stop()
    return video, packets


def colr(clip: Path) -> bytes | None:
    data = clip.read_bytes()
    at = data.rfind(b"colr")
    return data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at], "big")] if at >= 0 else None


@pytest.mark.parametrize(
    ("codec", "pixels", "full_range"),
    [("mjpeg", "yuvj420p", True), ("mjpeg", "yuvj422p", True), ("rawvideo", "yuyv422", False)],
)
def test_colour_bars_pass_through_a_webcam_and_a_clip(
    codec: str, pixels: str, full_range: bool, tmp_path: Path
) -> None:
    video, packets = packets_of(filmed(tmp_path / "webcam.nut", codec, pixels, full_range))
    _, writer = writer_for(tmp_path / "store")
    moment = writer.write(order_of(packets, video=video), lambda _: None)
    assert moment is not None
    assert colr(moment.clip) == b"nclx" + bytes([0, 1, 0, 1, 0, 6, 0])
    with av.open(str(moment.clip)) as container:
        context = container.streams.video[0].codec_context
        stated = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        assert tuple(map(int, stated)) == (1, 1, 6, 1)
        for frame in container.decode(video=0):
            assert np.abs(read(frame) - ycc(6, full_range=False)).max() <= TOLERANCE
    with av.open(str(moment.path / "thumbnail.jpg")) as container:
        thumbnail = next(container.decode(video=0))
    assert np.abs(read(thumbnail) - ycc(6, full_range=True)).max() <= 3 * TOLERANCE  # small, and compressed harder


def keyframe(colour: Colour | None, painted_as: Colour) -> VideoPacket:
    encoder = SoftwareEncoder(VideoFormat(WIDTH, HEIGHT, 30), 8_000_000)
    unsaid = {key: value for key, value in encoder._context.options.items() if not key.startswith("color")}
    encoder._context.options = {**unsaid, **(encoding.colour_options(colour) if colour else {})}
    [packet] = encoder.encode(painted(ycc(painted_as.matrix, painted_as.full_range), "yuv420p"), 0)
    return packet


LIMITED_709, LIMITED_601, FULL_601 = Colour(1, 1, 1, False), Colour(6, 1, 6, False), Colour(1, 13, 6, True)


@pytest.mark.parametrize("colour", [LIMITED_709, LIMITED_601, FULL_601])
def test_a_thumbnail_has_the_colours_of_its_keyframe(colour: Colour, tmp_path: Path) -> None:
    (tmp_path / "thumbnail.jpg").write_bytes(from_keyframe(keyframe(colour, colour).data))
    with av.open(str(tmp_path / "thumbnail.jpg")) as container:
        thumbnail = next(container.decode(video=0))
    assert np.abs(read(thumbnail) - ycc(6, full_range=True)).max() <= 3 * TOLERANCE


@pytest.mark.parametrize(
    ("in_stream", "of_camera", "stated"),
    [
        (LIMITED_709, None, b"nclx" + bytes([0, 1, 0, 1, 0, 1, 0])),
        (FULL_601, LIMITED_709, b"nclx" + bytes([0, 1, 0, 13, 0, 6, 0x80])),  # the SPS wins
        (None, LIMITED_709, b"nclx" + bytes([0, 1, 0, 1, 0, 1, 0])),  # the encoder of a Pi 4 writes none
        (None, None, None),
    ],
)
def test_the_colr_box_repeats_the_sps(
    in_stream: Colour | None, of_camera: Colour | None, stated: bytes | None, tmp_path: Path
) -> None:
    packet = keyframe(in_stream, LIMITED_601)
    sequence = ParameterSets.find(packet).sequence()
    assert sequence is not None
    assert sequence.colour == in_stream
    _, writer = writer_for(tmp_path)
    moment = writer.write(order_of([packet], video=VideoFormat(WIDTH, HEIGHT, 30, of_camera)), lambda _: None)
    assert moment is not None
    assert colr(moment.clip) == stated


def test_the_colours_of_a_camera_with_another_size_are_not_used(tmp_path: Path) -> None:
    _, writer = writer_for(tmp_path)
    order = order_of([keyframe(None, LIMITED_601)], video=VideoFormat(1280, 720, 30, LIMITED_709))
    moment = writer.write(order, lambda _: None)
    assert moment is not None
    assert colr(moment.clip) is None
