"""Looking at a finished clip as a player does: everything that a decoder needs must be in its `avcC`."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from missed_moment.errors import ClipError, reason
from missed_moment.h264 import PPS, SPS


@dataclass(frozen=True)
class Inspection:
    """What a clip holds; `times_s` are those of its pictures, from 0. `sound_s` is None where it has no sound."""

    times_s: tuple[float, ...]
    width: int
    height: int
    sound_s: float | None = None

    @property
    def pictures(self) -> int:
        """How many pictures were decoded."""
        return len(self.times_s)

    @property
    def duration_s(self) -> float:
        """From the first picture to the last."""
        return self.times_s[-1] - self.times_s[0]


def shows_anything(path: Path) -> bool:
    """Tell whether a player can open a clip and decode any frame of it."""
    with suppress(FFmpegError, IndexError), av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            with suppress(FFmpegError):
                if packet.decode():
                    return True
    return False


def inspect_clip(path: Path, look: Callable[[av.VideoFrame], None] = lambda _: None) -> Inspection:
    """Decode every picture of a clip, from `avcC` alone, and its sound; `look` is shown each picture.

    Parameter sets inside the stream are taken out before decoding, so that a clip which only decodes with
    them does not pass. Raises ClipError where anything is missing, damaged or out of order.
    """
    times: list[float] = []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            expected = stream.frames
            decoder = stream.codec_context
            decoder.options = {"err_detect": "explode"}
            for packet in container.demux(stream):
                bare = av.Packet(_without_parameter_sets(bytes(packet))) if packet.size else None
                if bare is not None:
                    bare.pts, bare.dts, bare.time_base = packet.pts, packet.dts, packet.time_base
                for frame in decoder.decode(bare):
                    times.append(frame.time or 0.0)
                    look(frame)
            width, height = decoder.width, decoder.height
        sound_s = _sound(path)
    except (FFmpegError, IndexError, OSError) as error:
        raise ClipError(f"{path} cannot be decoded from beginning to end ({reason(error)})") from error
    if not times or len(times) != expected:
        raise ClipError(f"{path} announces {expected} pictures, but {len(times)} of them can be decoded")
    if any(after <= before for before, after in itertools.pairwise(times)):
        raise ClipError(f"{path} has pictures that are out of order")
    return Inspection(tuple(times), width, height, sound_s)


def _sound(path: Path) -> float | None:
    """Decode the sound of a clip and return how long it is; None where there is none."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        container.streams.audio[0].codec_context.options = {"err_detect": "explode"}
        length, end_s = 0, 0.0
        for frame in container.decode(audio=0):
            if abs((frame.time or 0.0) - end_s) > 1 / frame.sample_rate:
                raise ClipError(f"{path} has a hole in its sound, {end_s:.3f} s from its beginning")
            length += frame.samples
            end_s = length / frame.sample_rate
        return end_s


def _without_parameter_sets(sample: bytes) -> bytes:
    """Drop SPS and PPS from one MP4 sample (4-byte lengths)."""
    kept, position = [], 0
    while position + 4 < len(sample):
        end = position + 4 + int.from_bytes(sample[position : position + 4], "big")
        if sample[position + 4] & 0x1F not in {SPS, PPS}:
            kept.append(sample[position:end])
        position = end
    return b"".join(kept)
