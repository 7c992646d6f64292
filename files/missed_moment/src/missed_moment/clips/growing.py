"""Packets in, fragments of a clip out: the one place where capture time becomes time in a file."""

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

from missed_moment.clips.catalogue import Gap, SoundInfo
from missed_moment.clips.mp4 import MOVIE_TIMESCALE, ClipFile, Sample, Track, video_track
from missed_moment.clips.soundtrack import Soundtrack
from missed_moment.clock import NS
from missed_moment.durable import Disk, SequentialFile
from missed_moment.frame_gaps import missing_frames
from missed_moment.h264 import ParameterSets
from missed_moment.packets import SAMPLE_RATE, Packet, VideoFormat, VideoPacket
from missed_moment.sps import UNSPECIFIED

SILENCE_S = 0.01
"""Silence that lasts no longer is none that anybody lost."""

Fragment = list[tuple[Track, list[Sample]]]
"""Samples of each track, ready to be written."""


class Facts(TypedDict):
    """The part of `MomentInfo` that the file itself tells."""

    duration_s: float
    pictures: int
    width: int
    height: int
    gaps: tuple[Gap, ...]


class GrowingClip:
    """A clip that is being written. Its base time is the capture time of its first picture."""

    def __init__(
        self,
        disk: Disk,
        path: Path,
        first: VideoPacket,
        video: VideoFormat,
        rotation: int = 0,
        sound: Soundtrack | None = None,
    ) -> None:
        """Create the file; `first` is the keyframe it will begin with, and `sound` has the same base time.

        Raises BitstreamError where that has no parameter sets, OSError as the disk does.
        """
        self.base_ns = first.pts_ns
        self._ticks = -1
        self._last_ns = first.pts_ns
        self._parameters = ParameterSets.find(first)
        if sequence := self._parameters.sequence():  # `video` may be that of a camera that was started since
            same_camera = (video.width, video.height) == sequence[:2]
            colour = sequence.colour
            if same_camera and video.colour and (colour is None or colour.matrix == UNSPECIFIED):
                # Some encoders write whether the range is full, and nothing else of what they were told.
                colour = video.colour if colour is None else video.colour._replace(full_range=colour.full_range)
            video = VideoFormat(sequence.width, sequence.height, video.fps, colour)
        self.video = video
        self._track = video_track(self._parameters.avcc(), video.width, video.height, video.fps, rotation, video.colour)
        self._sound = sound
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="sound")
        self._file = SequentialFile.create(disk, path)
        try:
            self._clip = ClipFile.create(self._file, [self._track, *([sound.track] if sound else [])])
        except OSError:
            self._file.close()
            raise

    def fragments(self, packets: Iterable[Packet]) -> Iterator[Fragment]:
        """Yield the fragments that packets make, one for each GOP.

        Sound is encoded in a thread of its own, which is ahead of the one that writes: of the two, a save takes as
        long as the slower.
        """
        pictures = []
        for packet in packets:
            if isinstance(packet, VideoPacket):
                pictures.append(packet)
            elif self._sound:
                self._sound.hear(packet)
        groups = list(gops(pictures))
        sounds = self._ahead.map(self._sound_until, [group[-1].pts_ns for group in groups])
        for group, fragment in zip(groups, sounds, strict=True):
            self._last_ns = group[-1].pts_ns
            yield [(self._track, [self._sample(packet) for packet in group]), *fragment]

    def ending(self) -> Iterator[Fragment]:
        """Yield the fragment that is left when no more packets come, if there is one."""
        if self._sound:
            yield [(self._sound.track, self._sound.finish(self._last_ns + round(NS / self.video.fps)))]

    def write(self, fragment: Fragment) -> None:
        """Write one fragment."""
        self._clip.append(fragment)

    def sync(self) -> None:
        """Return when all that was appended is on the device."""
        self._clip.sync()

    def cut(self) -> None:
        """Cut off what a failed `write` left behind: on a full disk, that is the room to finish."""
        self._clip.cut()

    def finish(self, created_s: int) -> None:
        """Make it an ordinary MP4, durably."""
        self._clip.finish(created_s)

    def close(self) -> None:
        """Close the file, finished or not."""
        self._ahead.shutdown(cancel_futures=True)
        self._clip.close()

    def facts(self) -> "Facts":
        """Describe what is written."""
        return facts(self._track)

    def sound_info(self) -> SoundInfo | None:
        """Describe the sound that is written; None where there is none."""
        if self._sound is None:
            return None
        silences = ((each.begin / SAMPLE_RATE, (each.end - each.begin) / SAMPLE_RATE) for each in self._sound.silences)
        gaps = tuple(_gap(at_s, length_s) for at_s, length_s in silences if length_s > SILENCE_S)
        return SoundInfo(card_ppm=self._sound.ppm, gaps=gaps)

    def _sound_until(self, end_ns: int) -> Fragment:
        return [(self._sound.track, self._sound.until(end_ns))] if self._sound else []

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


def facts(track: Track) -> Facts:
    """Describe a track."""
    times = [sample.time for sample in track.samples]
    intervals = [after - before for before, after in itertools.pairwise(times)]
    missing = [
        (time, interval)
        for index, (time, interval) in enumerate(zip(times, intervals, strict=False))
        if missing_frames(intervals, index, track.nominal)
    ]
    return Facts(
        duration_s=round(sum(track.durations()) / track.timescale, 3),
        pictures=len(times),
        width=track.width,
        height=track.height,
        gaps=tuple(_gap(at / track.timescale, interval / track.timescale) for at, interval in missing),
    )


def _gap(at_s: float, length_s: float) -> Gap:
    return Gap(at_s=round(at_s, 3), length_s=round(length_s, 3))
