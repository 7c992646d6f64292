"""From blocks of sound to the frames of a clip's sound track, in the clip's own time.

The track begins with the first picture and has no holes: sample n of it is what was heard n / 48,000 seconds after
that picture was taken. The timeline tells which of the card's samples that is; mostly it lies between two, because
no card counts seconds as the clock does, and is read off a smooth curve through its four neighbours. Where no sound
was captured, there is silence. docs/explanation/sound.md draws it.
"""

from collections import deque
from dataclasses import dataclass, field
from math import floor

import numpy as np
from numpy.typing import NDArray

from missed_moment.clips.aac import FRAME, PRIMING, AacEncoder
from missed_moment.clips.mp4 import Sample, Track, sound_track
from missed_moment.clock import NS
from missed_moment.packets import SAMPLE_RATE, PcmBlock
from missed_moment.timeline import Floats, Line, fit

Pcm = NDArray[np.float32]

FADE = SAMPLE_RATE // 200
"""Samples (5 ms) in which sound comes and goes where it begins or ends: a step would be heard as a click."""
PATIENCE_NS = NS
"""Sound that has not come so long after its picture does not come any more."""
_FIT_NS = 60 * NS
"""How far back a timeline looks."""
_SLEW = 0.005
"""How much faster or slower sound is read until it is where a better timeline says. Nobody hears 5 ms in a second."""
_JUMP = SAMPLE_RATE // 20
"""Samples (50 ms) beyond which there is no slewing: then the card must have lost some without saying so."""
_FULL_SCALE = 32768


@dataclass(frozen=True)
class Silence:
    """A stretch of a clip without sound; samples from the clip's start."""

    begin: int
    end: int


@dataclass
class _Run:
    """Blocks between two gaps, from the card's sample `begin` on; `cursor` is the one that is read next."""

    begin: int
    blocks: deque[PcmBlock] = field(default_factory=deque)
    points: deque[tuple[int, int]] = field(default_factory=deque)
    cursor: float | None = None
    ended: bool = False
    _line: Line | None = None

    def hear(self, block: PcmBlock) -> None:
        self.blocks.append(block)
        self.points.append((block.first_sample, block.pts_ns))
        while self.points[0][1] < block.pts_ns - _FIT_NS:
            self.points.popleft()
        self._line = None

    @property
    def line(self) -> Line:
        if self._line is None:
            self._line = fit(self.points)
        return self._line

    @property
    def end(self) -> int:
        """The sample after the last one."""
        last = self.blocks[-1]
        return last.first_sample + last.samples

    def read(self, begin_ns: float, count: int) -> tuple[int, Pcm]:
        """Read `count` samples of the clip from `begin_ns` on; returns those that there are, and where they begin."""
        begin, end = self.line.sample_at(begin_ns), self.line.sample_at(begin_ns + count * NS / SAMPLE_RATE)
        if self.cursor is not None and abs(lag := self.cursor - begin) < _JUMP:
            begin = self.cursor
            end += lag - max(-_SLEW * count, min(lag, _SLEW * count))
        self.cursor = end
        step = (end - begin) / count
        # Each sample is read with one neighbour before it and two after it.
        first, last = max(self.begin, self.blocks[0].first_sample) + 1, self.end - 3
        skip = max(0, min(count, int(np.ceil((first - begin) / step))))
        stop = max(skip, min(count, int(np.ceil((last - begin) / step))))
        positions: Floats = begin + step * np.arange(skip, stop, dtype=np.float64)
        if not len(positions):
            return skip, np.zeros(0, dtype=np.float32)
        read = self._between(positions)
        come = np.clip((positions - self.begin) / FADE, 0, 1)
        go = np.clip((last - positions) / FADE, 0, 1) if self.ended else 1.0
        return skip, (read * come * go).astype(np.float32)

    def _between(self, positions: Floats) -> Pcm:
        """Read between the samples, by the cubic through the four nearest (Catmull and Rom)."""
        low = floor(positions[0]) - 1
        while self.blocks[0].first_sample + self.blocks[0].samples <= low:
            self.blocks.popleft()
        origin = self.blocks[0].first_sample
        data = b"".join(block.data for block in self.blocks if block.first_sample <= positions[-1] + 2)
        card = np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE)
        whole = np.floor(positions)
        at = (whole - origin).astype(np.int64)
        part = (positions - whole).astype(np.float32)
        before, here, after, beyond = card[at - 1], card[at], card[at + 1], card[at + 2]
        slope = (after - before) / 2
        rise = after - here
        cubic = slope + (beyond - here) / 2 - 2 * rise
        curve: Pcm = here + part * (slope + part * (rise - slope - cubic + part * cubic))
        return curve


class Soundtrack:
    """The sound of one clip, from `base_ns` on, played `offset_ms` later than it was captured."""

    def __init__(self, base_ns: int, offset_ms: float) -> None:
        self._offset_ns = round(offset_ms * 1e6)
        self._start_ns = base_ns - self._offset_ns
        self._encoder = AacEncoder()
        self._runs: deque[_Run] = deque()
        self._next_sample = 0
        self._done = 0
        self._frames = 0
        self.silences: list[Silence] = []
        self.track: Track = sound_track(self._encoder.config, SAMPLE_RATE, FRAME, PRIMING)

    @property
    def ppm(self) -> float | None:
        """By how much the card's clock is too fast, in parts in a million; None before any sound."""
        return self._runs[-1].line.ppm if self._runs else None

    def hear(self, block: PcmBlock) -> None:
        """Take the next block that was captured."""
        if not self._runs or block.first_sample != self._next_sample:
            if self._runs:
                self._runs[-1].ended = True
            self._runs.append(_Run(block.first_sample))
        self._runs[-1].hear(block)
        self._next_sample = block.first_sample + block.samples

    def until(self, end_ns: int) -> list[Sample]:
        """Encode up to a picture at `end_ns`, as far as it is certain what was heard; returns frames that are ready."""
        end_ns -= self._offset_ns
        return self._encode(min(end_ns, max(self._certain_ns(), end_ns - PATIENCE_NS)))

    def finish(self, end_ns: int) -> list[Sample]:
        """Encode what is left up to a picture at `end_ns`; nothing more will be heard."""
        if self._runs:
            self._runs[-1].ended = True
        return self._encode(end_ns - self._offset_ns) + self._samples(self._encoder.finish())

    def _certain_ns(self) -> int:
        """Up to when nothing can change: what goes on is not faded out."""
        if not self._runs:
            return 0
        return round(self._runs[-1].line.time_of(self._runs[-1].end - FADE))

    def _encode(self, end_ns: int) -> list[Sample]:
        samples: list[Sample] = []
        target = (end_ns - self._start_ns) * SAMPLE_RATE // NS
        while (count := min(target - self._done, SAMPLE_RATE)) > 0:
            samples += self._samples(self._encoder.encode(self._render(count)))
        return samples

    def _render(self, count: int) -> Pcm:
        """Return the next `count` samples of the clip."""
        begin_ns = self._start_ns + self._done * NS / SAMPLE_RATE
        end_ns = begin_ns + count * NS / SAMPLE_RATE
        rendered, heard = np.zeros(count, dtype=np.float32), np.zeros(count, dtype=bool)
        while len(self._runs) > 1 and self._runs[0].line.time_of(self._runs[0].end) <= begin_ns:
            self._runs.popleft()
        for run in self._runs:
            if run.line.time_of(run.blocks[0].first_sample) < end_ns:
                at, read = run.read(begin_ns, count)
                rendered[at : at + len(read)] += read
                heard[at : at + len(read)] = True
        fade = np.clip((self._done + np.arange(min(count, FADE))) / FADE, 0, 1)
        rendered[: len(fade)] *= fade.astype(np.float32)
        self._note_silence(heard)
        self._done += count
        return np.clip(rendered, -1, 1)

    def _note_silence(self, heard: NDArray[np.bool_]) -> None:
        edges = np.flatnonzero(np.diff(np.concatenate(([True], heard, [True]))))
        for begin, end in edges.reshape(-1, 2).tolist():
            silence = Silence(self._done + begin, self._done + end)
            if self.silences and self.silences[-1].end == silence.begin:
                silence = Silence(self.silences.pop().begin, silence.end)
            self.silences.append(silence)

    def _samples(self, frames: list[bytes]) -> list[Sample]:
        begin, self._frames = self._frames, self._frames + len(frames)
        return [Sample([frame], (begin + number) * FRAME) for number, frame in enumerate(frames)]
