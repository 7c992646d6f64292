"""Encoded pictures in, fragments of a clip out: the one place where capture time becomes time in a file."""

import itertools
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypedDict

from missed_moment.clips.catalogue import Gap
from missed_moment.clips.mp4 import MOVIE_TIMESCALE, ClipFile, Sample, Track, video_track
from missed_moment.clock import NS
from missed_moment.durable import Disk, SequentialFile
from missed_moment.h264 import ParameterSets
from missed_moment.packets import VideoFormat, VideoPacket

GAP = 1.5
"""Pictures further apart than this many frame durations have a gap between them."""


class Facts(TypedDict):
    """The part of `MomentInfo` that the file itself tells."""

    duration_s: float
    pictures: int
    width: int
    height: int
    gaps: tuple[Gap, ...]


class GrowingClip:
    """A clip that is being written. Its base time is the capture time of its first picture."""

    def __init__(self, disk: Disk, path: Path, first: VideoPacket, video: VideoFormat, rotation: int) -> None:
        """Create the file; `first` is the keyframe it will begin with.

        Raises BitstreamError where that has no parameter sets, OSError as the disk does.
        """
        self.base_ns = first.pts_ns
        self.video = video
        self._ticks = -1
        self._parameters = ParameterSets.find(first)
        self._track = video_track(self._parameters.avcc(), video.width, video.height, video.fps, rotation)
        self._file = SequentialFile.create(disk, path)
        try:
            self._clip = ClipFile.create(self._file, [self._track])
        except OSError:
            self._file.close()
            raise

    def append(self, packets: Iterable[VideoPacket]) -> None:
        """Write packets as one fragment."""
        self._clip.append([(self._track, [self._sample(packet) for packet in packets])])

    def sync(self) -> None:
        """Return when all that was appended is on the device."""
        self._clip.sync()

    def finish(self, created_s: int) -> None:
        """Make it an ordinary MP4, durably."""
        self._clip.finish(created_s)

    def close(self) -> None:
        """Close the file, finished or not."""
        self._clip.close()

    def facts(self) -> "Facts":
        """Describe what is written."""
        return facts(self._track, self.video.fps)

    def _sample(self, packet: VideoPacket) -> Sample:
        ticks = (packet.pts_ns - self.base_ns) * MOVIE_TIMESCALE // NS
        self._ticks = max(ticks, self._ticks + 1)  # a driver whose clock steps back must not make a file unreadable
        return Sample(self._parameters.strip(packet), self._ticks, packet.keyframe)


def gops(packets: Iterable[VideoPacket]) -> Iterator[list[VideoPacket]]:
    """Split packets before each keyframe; the first group may begin without one."""
    group: list[VideoPacket] = []
    for packet in packets:
        if packet.keyframe and group:
            yield group
            group = []
        group.append(packet)
    if group:
        yield group


def facts(track: Track, fps: float | None = None) -> Facts:
    """Describe a track; without `fps`, the usual distance of its own pictures stands for it."""
    times = [sample.time for sample in track.samples]
    distances = [after - before for before, after in itertools.pairwise(times)]
    usual = track.timescale / fps if fps else statistics.median(distances or [track.nominal])
    missing = [(at, distance) for at, distance in zip(times, distances, strict=False) if distance > GAP * usual]
    return Facts(
        duration_s=round(sum(track.durations()) / track.timescale, 3),
        pictures=len(times),
        width=track.width,
        height=track.height,
        gaps=tuple(
            Gap(at_s=round(at / track.timescale, 3), length_s=round(distance / track.timescale, 3))
            for at, distance in missing
        ),
    )
