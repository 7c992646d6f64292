"""Pictures that flash and sound that chirps, at each whole second, as a camera and a sound card would deliver them."""

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from missed_moment import sync
from missed_moment.capture.chirping import chirp
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.capture.synthetic import paint
from missed_moment.capture.synthetic_microphone import PERIOD, SyntheticMicrophone
from missed_moment.clock import NS
from missed_moment.packets import SAMPLE_RATE, PcmBlock, VideoFormat, VideoPacket

SEEN = VideoFormat(256, 144, 30)


@functools.cache
def _flashing(phase_ns: int, seconds: int) -> tuple[VideoPacket, ...]:
    encoder = SoftwareEncoder(SEEN, 300_000)
    planes = np.full((SEEN.height * 3 // 2, SEEN.width), 128, dtype=np.uint8)
    packets: list[VideoPacket] = []
    for number in range(round(seconds * SEEN.fps)):
        pts_ns = phase_ns + round(number * NS / SEEN.fps)
        paint(planes[: SEEN.height], number, pts_ns, SEEN.fps)
        packets += encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"), pts_ns)
    return tuple(packets)


def flashing_film(start_ns: int, seconds: int) -> list[VideoPacket]:
    """Pictures from `start_ns` on that flash at each whole second."""
    phase_ns = start_ns % NS
    return [packet._replace(pts_ns=packet.pts_ns - phase_ns + start_ns) for packet in _flashing(phase_ns, seconds)]


def never_late(_: int) -> int:
    """A card that tells the time exactly."""
    return 0


class SoundCard:
    """A sound card that hears `sound_at`, with a clock that is `ppm` parts in a million too fast.

    It was started at `started_ns`, and has counted since. `late_ns` says by how much too late it tells when a block
    was captured, from the block's number.
    """

    def __init__(self, started_ns: int, ppm: float = 0, late_ns: Callable[[int], int] = never_late) -> None:
        self._started_ns = started_ns
        self._microphone = SyntheticMicrophone(ppm)
        self._late_ns = late_ns

    def hear(self, from_ns: int, to_ns: int) -> Iterator[PcmBlock]:
        """Yield the blocks that begin between two times."""
        period_ns = PERIOD * self._microphone.step_ns
        for number in itertools.count(max(0, int((from_ns - self._started_ns) / period_ns))):
            block = self._microphone.block(self._started_ns, number * PERIOD)
            if block.pts_ns >= to_ns:
                return
            yield block._replace(pts_ns=block.pts_ns + self._late_ns(number))


def jitter(seed: int) -> Callable[[int], int]:
    """Lateness of a busy system: mostly below a millisecond, often some, at times 200."""
    chance = np.random.default_rng(seed)

    def late_ns(_: int) -> int:
        usual = chance.exponential(0.5e6)
        return round(usual + (chance.uniform(0, 200e6) if chance.random() < 0.2 else 0))

    return late_ns


def chirps(sound: sync.Floats) -> sync.Floats:
    """Find the chirps in a sound, by what they sound like."""
    wanted = chirp()
    length = 1 << int(np.ceil(np.log2(len(sound) + len(wanted))))
    match = np.fft.irfft(np.fft.rfft(sound, length) * np.conj(np.fft.rfft(wanted, length)), length)[: len(sound)]
    found: list[int] = []
    loudest = float((wanted**2).sum())
    while (best := int(np.argmax(match))) >= 0 and match[best] > loudest / 3:
        found.append(best)
        match[max(0, best - SAMPLE_RATE // 2) : best + SAMPLE_RATE // 2] = 0
    return np.array(sorted(found)) / SAMPLE_RATE


def offsets_ms(clip: Path) -> list[float]:
    """How much later each chirp of a clip is heard than its flash is seen, in milliseconds."""
    return [offset * 1000 for offset in sync.measure(clip, chirps)]
