"""Our side of picamera2, where it is not installed: what it raises, and what its encoder is told."""

import errno
import importlib
import itertools
import sys
import types
from collections.abc import Iterator
from unittest.mock import MagicMock

import av
import numpy as np
import pytest

from missed_moment import clock
from missed_moment.capture.encoder import PEAK, SAVED_S
from missed_moment.clock import NS
from missed_moment.errors import CameraError
from missed_moment.h264 import ParameterSets
from missed_moment.memory_budget import BYTES_MARGIN
from missed_moment.packets import VideoPacket
from missed_moment.sps import Colour
from rig import film

FPS, BITRATE, STILL_S = 30, 500_000, 20


class RefusedCamera:
    """`Picamera2` whose camera libcamera does not acquire."""

    _cm = types.SimpleNamespace(cameras={}, _cms=None)
    reason = ""

    def __init__(self, _: int) -> None:
        try:
            raise RuntimeError(f"Failed to acquire camera: {self.reason}")  # a std::system_error of libcamera's
        except RuntimeError:
            raise RuntimeError("Camera __init__ sequence did not complete.")  # noqa: B904 - as picamera2 does

    def close(self) -> None:
        pass


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """Our module, on stubs that have no camera."""
    for name in ("libcamera", "picamera2.encoders", "picamera2.formats", "picamera2.sensor_format"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=RefusedCamera))
    monkeypatch.setitem(sys.modules, "picamera2.outputs", types.SimpleNamespace(Output=object))
    yield importlib.import_module("missed_moment.capture.picamera2")
    del sys.modules["missed_moment.capture.picamera2"]


@pytest.mark.parametrize(
    ("reason", "number", "advice"),
    [
        ("Device or resource busy", errno.EBUSY, "another program uses the camera"),
        ("No such device", errno.EIO, "check its cable"),
    ],
)
def test_a_camera_that_another_program_holds_is_busy(
    ours: types.ModuleType, reason: str, number: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RefusedCamera, "reason", reason)
    with pytest.raises(CameraError, match=advice) as refused:
        ours._open(0)
    assert refused.value.errno == number


def test_the_encoder_of_a_pi_5_cannot_save_up_bits_while_nothing_moves(ours: types.ModuleType) -> None:
    """The stream is set up in the order of picamera2's LibavH264Encoder: the output gets it before it is opened."""
    noise, planes = np.random.default_rng(1), np.full((216, 256), 128, dtype=np.uint8)
    with av.open("/dev/null", "w", format="null") as container:
        stream = container.add_stream("h264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        ours._RingOutput(types.SimpleNamespace(bitrate=BITRATE), print)._add_stream(stream, "h264", rate=FPS)
        stream.codec_context.bit_rate, stream.codec_context.gop_size = BITRATE, FPS
        stream.codec_context.options["preset"] = "ultrafast"
        stream.codec_context.options["tune"] = "zerolatency"
        sizes = []
        for number in range((STILL_S + 3) * FPS):
            if number >= STILL_S * FPS:
                planes = noise.integers(0, 255, planes.shape).astype(np.uint8)
            sizes.append(sum(packet.size for packet in stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p"))))
    first, *others = (sum(sizes[second * FPS :][:FPS]) * 8 / BITRATE for second in range(STILL_S, STILL_S + 3))
    assert first <= 1.05 * (PEAK + SAVED_S)  # VBV counts with what it has just been given, too
    assert max(others) <= BYTES_MARGIN


def test_buffers_without_a_picture_and_impossible_times_do_not_reach_the_ring(ours: types.ModuleType) -> None:
    """A keyframe of 0 bytes would be one that no moment can begin with."""
    packets: list[VideoPacket] = []
    encoder = types.SimpleNamespace(firsttimestamp=clock.monotonic_ns() // 1000 - 100_000)
    output = ours._RingOutput(encoder, packets.append)
    first, second = film(1)[:2]
    without_picture = first.data[: first.nals[1][1]]
    assert ParameterSets.find(VideoPacket.of(without_picture, 0, True))
    for data, timestamp in [(b"", 0), (without_picture, 0), (first.data, 0), (second.data, 10**15)]:
        output.outputframe(data, True, timestamp)
    assert [packet.data for packet in packets] == [first.data, second.data]
    assert packets[0].pts_ns == encoder.firsttimestamp * 1000
    assert packets[0].pts_ns < packets[1].pts_ns <= clock.monotonic_ns()


@pytest.mark.parametrize("fps", [30, 15, 7.5])
def test_the_encoder_of_a_pi_4_is_asked_for_a_keyframe_if_frames_come_slowly(
    ours: types.ModuleType, fps: float
) -> None:
    """Its own come each 30 frames; one that is asked for comes two frames later."""
    asked: list[int] = []
    packets: list[VideoPacket] = []
    encoder = types.SimpleNamespace(
        firsttimestamp=clock.monotonic_ns() // 1000 - 9_900_000, force_key_frame=lambda: asked.append(len(packets))
    )
    output = ours._RingOutput(encoder, packets.append)
    output._add_stream("video", "h264", width=256, height=144)
    picture, since_key = film(1)[1].data, 30
    for number in range(round(9 * fps)):
        keyframe = since_key == 30 or bool(asked and asked[-1] == number - 2)
        since_key = 1 if keyframe else since_key + 1
        output.outputframe(picture, keyframe, round(number * 1e6 / fps))
    assert bool(asked) == (fps < 30)
    keys = [packet.pts_ns / NS for packet in packets if packet.keyframe]
    assert all(after - before < 2 for before, after in itertools.pairwise(keys))


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("<libcamera.ColorSpace 'Rec709'>", Colour(1, 1, 1, full_range=False)),
        ("<libcamera.ColorSpace 'SMPTE170M'>", Colour(6, 1, 6, full_range=False)),
        ("<libcamera.ColorSpace 'Rec709/sRGB/None/Full'>", None),
        ("None", None),
    ],
)
def test_the_encoder_of_a_pi_5_is_told_the_colours_of_the_camera(
    ours: types.ModuleType, name: str, colour: Colour | None
) -> None:
    space = MagicMock(__str__=lambda _: name)
    with av.open("/dev/null", "w", format="null") as container:
        stream = container.add_stream("h264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuv420p"
        output = ours._RingOutput(types.SimpleNamespace(bitrate=BITRATE), print, ours._colour(space))
        output._add_stream(stream, "h264", rate=FPS)
        stream.codec_context.options["tune"] = "zerolatency"
        [packet] = stream.encode(av.VideoFrame.from_ndarray(np.full((216, 256), 128, dtype=np.uint8), "yuv420p"))
    sequence = ParameterSets.find(VideoPacket.of(bytes(packet), 0, True)).sequence()
    assert sequence is not None
    assert sequence.colour == colour


def test_the_encoder_of_a_pi_4_is_left_as_it_is(ours: types.ModuleType) -> None:
    ours._RingOutput(types.SimpleNamespace(bitrate=BITRATE), print)._add_stream("video", "h264", width=256, height=144)
