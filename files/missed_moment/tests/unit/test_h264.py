"""Annex B in, lengths and avcC out."""

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.errors import BitstreamError
from missed_moment.h264 import PPS, SPS, ParameterSets
from missed_moment.packets import VideoPacket, find_nals
from rig import SMALL, film

# A NAL neither holds a start code nor ends with a zero byte: the encoder's emulation prevention sees to that.
nals = st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\0", b"\x01") + b"\x80")


def split_nals(data: bytes) -> list[bytes]:
    return [data[begin:end] for begin, end in find_nals(data)]


@given(st.lists(st.tuples(st.sampled_from([b"\0\0\1", b"\0\0\0\1"]), nals), max_size=6), st.integers(0, 3))
def test_split_is_the_inverse_of_joining(units: list[tuple[bytes, bytes]], trailing_zeros: int) -> None:
    stream = b"".join(code + nal for code, nal in units) + bytes(trailing_zeros if units else 0)
    assert split_nals(stream) == [nal for _, nal in units]


@given(st.binary(max_size=300))
def test_any_bytes_can_be_split(data: bytes) -> None:
    for nal in split_nals(data):
        assert b"\0\0\1" not in nal


def test_avcc_is_what_libav_makes_of_the_same_stream() -> None:
    keyframe = film(1)[0].data
    ours = ParameterSets.find(film(1)[0]).avcc()
    file = io.BytesIO()
    with av.open(io.BytesIO(keyframe), format="h264") as source, av.open(file, "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = 0
                packet.stream = stream
                target.mux(packet)
    theirs = file.getvalue()
    at = theirs.index(b"avcC")
    length = int.from_bytes(theirs[at - 4 : at], "big")
    assert ours == theirs[at + 4 : at - 4 + length]


def test_stripped_samples_hold_no_parameter_sets_and_lose_no_slice() -> None:
    packets = film(1)
    parameters = ParameterSets.find(packets[0])
    for packet in packets:
        buffers = parameters.strip(packet)
        kept = [bytes(nal) for nal in buffers[1::2]]
        assert [int.from_bytes(length, "big") for length in buffers[::2]] == [len(nal) for nal in kept]
        everything = split_nals(packet.data)
        assert kept == [nal for nal in everything if nal[0] & 0x1F not in {SPS, PPS}]


def test_parameter_sets_that_differ_stay_in_band() -> None:
    parameters = ParameterSets.find(film(1)[0])
    other = b"\0\0\0\1" + parameters.sps[:-1] + b"\x7f"
    assert bytes(parameters.strip(VideoPacket.of(other, 0, True))[1]) == other[4:]


@pytest.mark.parametrize("data", [b"", b"\0\0\1", b"\0\0\1\x65abc", b"\0\0\1\x67\x42", b"\0\0\1\x68\xce\x80"])
def test_a_keyframe_without_parameter_sets_is_refused(data: bytes) -> None:
    with pytest.raises(BitstreamError, match="repeat its headers"):
        ParameterSets.find(VideoPacket.of(data, 0, True))


def test_the_small_picture_is_what_the_rig_says() -> None:
    decoder = av.CodecContext.create("h264", "r")
    frame = [*decoder.decode(av.Packet(film(1)[0].data)), *decoder.decode(None)][0]
    assert (frame.width, frame.height) == (SMALL.width, SMALL.height)
