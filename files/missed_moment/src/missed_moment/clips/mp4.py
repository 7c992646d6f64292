"""An MP4 that can be cut at any byte while it grows, and is an ordinary one when it is finished.

While it grows:   ftyp | free | moov (no samples) | moof mdat | moof mdat | ...
When finished:    ftyp | mdat (all of the above, from `free` to the last fragment) | moov (all samples)

Up to the last whole fragment everything plays at any time. Finishing appends one `moov`, syncs it, and then
turns the eight bytes of `free` into the head of one big `mdat`: one write inside one sector, so that a power
cut leaves either the one form or the other. The idea is OBS Studio's "hybrid MP4"; FFmpeg has it too
(`hybrid_fragmented`), but cannot end a fragment at a chosen instant, syncs nothing, and copies the payload
five times: written here, a save costs one pass and no copy, and a file that was cut is finished in place.

Boxes are those of ISO/IEC 14496-12; its clause numbers are given as "12: 8.x".
"""

import itertools
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from missed_moment.durable import Data, SequentialFile
from missed_moment.errors import ClipError
from missed_moment.sps import Colour

MAX_SIZE = 2**32 - 1
"""Chunk offsets have 32 bits here, and FAT32, which sticks are made with, ends a file there too."""

MAX_TICKS = 2**32 - 1
"""Durations of samples and of the edit list have 32 bits: 13 hours in the movie's timescale."""

MOVIE_TIMESCALE = 90_000
IDENTITY = (1, 0, 0, 1)
_MP4_EPOCH = 2_082_844_800  # seconds from 1904-01-01, where MP4 counts from, to 1970-01-01
_KEYFRAME, _DELTA = 0x0200_0000, 0x0101_0000  # sample_depends_on, sample_is_non_sync_sample (12: 8.8.3.1)
HEAD = struct.Struct(">I4s")
"""Length and kind: what every box begins with (12: 4.2)."""


class Sample(NamedTuple):
    """One picture (or one AAC frame), ready to be written: `time` in the track's timescale."""

    buffers: Sequence[Data]
    time: int
    keyframe: bool = True


class Written(NamedTuple):
    """What the file knows of a sample once it is written."""

    size: int
    time: int
    keyframe: bool


@dataclass(eq=False)
class Track:
    """One track: what it is, and where its samples lie.

    `entry` is the sample entry (`avc1`, `mp4a`); `matrix` is (a, b, c, d) of the display matrix, whole
    numbers; `nominal` is how long a sample lasts if no other follows, and `skip` what of the beginning is not to be
    played (what an encoder of sound puts before the first), both in the timescale.
    """

    handler: bytes
    timescale: int
    entry: bytes
    nominal: int
    width: int = 0
    height: int = 0
    matrix: tuple[int, int, int, int] = IDENTITY
    skip: int = 0
    samples: list[Written] = field(default_factory=list)
    chunks: list[tuple[int, int]] = field(default_factory=list)  # (offset in the file, number of samples)

    def durations(self) -> list[int]:
        """How long each sample is shown: until the next, and the last one for as long as `nominal`."""
        return _durations([sample.time for sample in self.samples], self.nominal)


def video_track(
    avcc: bytes, width: int, height: int, fps: float, rotation: int = 0, colour: Colour | None = None
) -> Track:
    """Make an H.264 track; `rotation` is clockwise and costs nothing: players turn the picture."""
    entry = _box(
        b"avc1",
        struct.pack(">6xH16xHHII4xH32xHh", 1, width, height, 0x480000, 0x480000, 1, 24, -1),
        _box(b"avcC", avcc),
        _colour(colour) if colour else b"",
        _box(b"pasp", struct.pack(">II", 1, 1)),
    )
    matrix = {0: IDENTITY, 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[rotation]
    return Track(b"vide", MOVIE_TIMESCALE, entry, round(MOVIE_TIMESCALE / fps), width, height, matrix)


def _colour(colour: Colour) -> bytes:
    """12: 12.1.5: the colour description, for players that do not parse the SPS."""
    *code_points, full_range = colour
    return _box(b"colr", struct.pack(">4sHHHB", b"nclx", *code_points, full_range << 7))


def sound_track(config: bytes, rate: int, frame: int, skip: int) -> Track:
    """Make an AAC track of one channel: `config` is its AudioSpecificConfig, `frame` how many samples a frame holds."""
    decoder = b"\x40\x15" + bytes(11) + _descriptor(0x05, config)  # AAC; an audio stream (ISO/IEC 14496-1, 7.2.6.6)
    elementary = _descriptor(0x03, bytes(3), _descriptor(0x04, decoder), _descriptor(0x06, b"\x02"))
    head = struct.pack(">6xH8xHH4xI", 1, 1, 16, rate << 16)
    return Track(b"soun", rate, _box(b"mp4a", head, _full(b"esds", 0, 0, elementary)), frame, skip=skip)


class ClipFile:
    """The growing file. Not thread-safe: one writer owns it."""

    def __init__(self, file: SequentialFile, tracks: Sequence[Track], patch_at: int, fragments: int = 0) -> None:
        """Take over a file whose head is written; `create` and `mp4_reader.reopen` make one."""
        self.tracks = tracks
        self.patch_at = patch_at
        self.fragments = fragments
        self._file = file
        self._end = file.position

    @classmethod
    def create(cls, file: SequentialFile, tracks: Sequence[Track]) -> "ClipFile":
        """Write the head: brand, the eight bytes that will be patched, and a `moov` that announces fragments."""
        extends = [_full(b"trex", 0, 0, struct.pack(">IIIII", i, 1, 0, 0, 0)) for i in range(1, len(tracks) + 1)]
        file.write([BRAND, _box(b"free"), _moov(tracks, 0, _box(b"mvex", *extends))])
        return cls(file, tracks, patch_at=len(BRAND))

    def append(self, runs: Iterable[tuple[Track, Sequence[Sample]]]) -> None:
        """Write one fragment: for each track, samples in decoding order that follow those before.

        Raises OSError where the disk does, and ClipError where the file would become longer than 4 GiB, or its time
        longer than MP4's fields hold; then nothing is written.
        """
        runs = [(track, samples) for track, samples in runs if samples]
        sizes = [[sum(map(len, sample.buffers)) for sample in samples] for _, samples in runs]
        payload = sum(map(sum, sizes))
        self.cut()
        self._refuse_beyond(self._file.position + payload)
        for track, samples in runs:
            _refuse_beyond_time(track, samples[-1].time + track.nominal)
        start = self._file.position
        self.fragments += 1
        head = _moof(
            self.fragments,
            [(self.tracks.index(t) + 1, t, s, z) for (t, s), z in zip(runs, sizes, strict=True)],
        )
        parts: list[Data] = [head, HEAD.pack(8 + payload, b"mdat")]
        for _, samples in runs:
            for sample in samples:
                parts.extend(sample.buffers)
        self._file.write(parts)
        offset = start + len(head) + 8
        for (track, samples), lengths in zip(runs, sizes, strict=True):
            track.chunks.append((offset, len(samples)))
            track.samples += [Written(n, s.time, s.keyframe) for s, n in zip(samples, lengths, strict=True)]
            offset += sum(lengths)
        self._end = self._file.position

    def sync(self) -> None:
        """Return when all fragments are on the device."""
        self._file.sync()

    def cut(self) -> None:
        """Cut off what a failed `append` or `finish` left behind: the clip ends with the last whole fragment."""
        if self._file.position != self._end:
            self._file.truncate(self._end)

    def finish(self, created_s: int = 0) -> None:
        """Make it an ordinary MP4, durably; `created_s` is Unix time, 0 where the wall clock is not certain."""
        self.cut()
        self._file.write([_moov(self.tracks, created_s)])
        self._file.sync()
        self._file.patch(HEAD.pack(self._end - self.patch_at, b"mdat"), self.patch_at)
        self._file.sync()

    def close(self) -> None:
        """Close the file, finished or not."""
        self._file.close()

    def _refuse_beyond(self, size: int) -> None:
        if size + 1_000_000 > MAX_SIZE:  # a million bytes for the `moov` of the longest moment
            raise ClipError("the clip would be longer than 4 GiB, which no stick takes: lower bitrate_mbps or limit_s")


def _refuse_beyond_time(track: Track, end: int) -> None:
    if end * MOVIE_TIMESCALE // track.timescale > MAX_TICKS:
        hours = end / track.timescale / 3600
        raise ClipError(f"the camera's timestamps would make the clip {hours:.1f} hours long: it ends before them")


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return HEAD.pack(8 + len(body), kind) + body


BRAND = _box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isom", b"iso5", b"iso6", b"avc1", b"mp41")
"""What each clip begins with."""


def _descriptor(tag: int, *content: bytes) -> bytes:
    """Lay out a descriptor of ISO/IEC 14496-1, 8.3.3; less than 128 bytes each here."""
    body = b"".join(content)
    return bytes([tag, len(body)]) + body


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *content)


def _moof(number: int, runs: Sequence[tuple[int, Track, Sequence[Sample], Sequence[int]]]) -> bytes:
    """12: 8.8.4. It holds offsets that depend on its own length, so it is laid out twice."""
    head = b""
    for _ in range(2):
        offset = len(head) + 8
        trafs = []
        for track_id, track, samples, sizes in runs:
            trafs.append(_traf(track_id, track, samples, sizes, offset))
            offset += sum(sizes)
        head = _box(b"moof", _full(b"mfhd", 0, 0, struct.pack(">I", number)), *trafs)
    return head


def _traf(track_id: int, track: Track, samples: Sequence[Sample], sizes: Sequence[int], offset: int) -> bytes:
    times = [sample.time for sample in samples]
    durations = _durations(times, track.nominal)
    rows = (
        struct.pack(">III", duration, size, _KEYFRAME if sample.keyframe else _DELTA)
        for sample, size, duration in zip(samples, sizes, durations, strict=True)
    )
    return _box(
        b"traf",
        _full(b"tfhd", 0, 0x02_0000, struct.pack(">I", track_id)),  # default-base-is-moof
        _full(b"tfdt", 1, 0, struct.pack(">Q", times[0])),
        _full(b"trun", 0, 0x701, struct.pack(">Ii", len(samples), offset), *rows),
    )


def _durations(times: Sequence[int], nominal: int) -> list[int]:
    return [after - time for time, after in itertools.pairwise(times)] + [nominal] * bool(times)


def _moov(tracks: Sequence[Track], created_s: int, *more: bytes) -> bytes:
    return index_box(tracks, created_s + _MP4_EPOCH if created_s else 0, *more)


def index_box(tracks: Sequence[Track], created: int, *more: bytes) -> bytes:
    """Lay out the `moov` of a file; `created` counts seconds from 1904 (0: not known)."""
    length = max((_shown(track) for track in tracks), default=0)
    header = struct.pack(">QQIQIH10x", created, created, MOVIE_TIMESCALE, length, 0x1_0000, 0x100)
    tail = struct.pack(">24xI", len(tracks) + 1)
    traks = (_trak(number, track, created) for number, track in enumerate(tracks, 1))
    return _box(b"moov", _full(b"mvhd", 1, 0, header, _matrix(IDENTITY), tail), *traks, *more)


def _trak(number: int, track: Track, created: int) -> bytes:
    length = sum(track.durations())
    shown = _shown(track)
    header = struct.pack(">QQI4xQ8xHHHxx", created, created, number, shown, 0, 0,
                         0 if track.handler == b"vide" else 0x100)  # fmt: skip
    # 12: 8.6.6: play all of it from there on. While the file grows, a length of 0 means whatever may follow.
    edit = _box(b"edts", _full(b"elst", 0, 0, struct.pack(">IIIHH", 1, shown, track.skip, 1, 0))) if track.skip else b""
    size = struct.pack(">II", track.width << 16, track.height << 16)
    # A picture that is turned lies left of or above the origin until it is moved back into view.
    media = _full(b"vmhd", 0, 1, bytes(8)) if track.handler == b"vide" else _full(b"smhd", 0, 0, bytes(4))
    return _box(
        b"trak",
        _full(b"tkhd", 1, 3, header, _matrix(track.matrix, track.width, track.height), size),
        edit,
        _box(
            b"mdia",
            _full(b"mdhd", 1, 0, struct.pack(">QQIQHH", created, created, track.timescale, length, 0x55C4, 0)),
            _full(b"hdlr", 0, 0, struct.pack(">4x4s12x", track.handler), b"missed-moment\0"),
            _box(
                b"minf",
                media,
                _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1))),
                _stbl(track),
            ),
        ),
    )


def _stbl(track: Track) -> bytes:
    """12: 8.5 to 8.7: what a player reads to find any sample."""
    keys = [number for number, sample in enumerate(track.samples, 1) if sample.keyframe]
    sync = _table(b"stss", ">I", ((number,) for number in keys)) if len(keys) < len(track.samples) else b""
    per_chunk = _run_lengths(count for _, count in track.chunks)
    firsts, first = [], 1
    for chunks, count in per_chunk:
        firsts.append((first, count, 1))
        first += chunks
    sizes = b"".join(struct.pack(">I", sample.size) for sample in track.samples)
    return _box(
        b"stbl",
        _full(b"stsd", 0, 0, struct.pack(">I", 1), track.entry),
        _table(b"stts", ">II", _run_lengths(track.durations())),
        sync,
        _table(b"stsc", ">III", firsts),
        _full(b"stsz", 0, 0, struct.pack(">II", 0, len(track.samples)), sizes),
        _table(b"stco", ">I", ((offset,) for offset, _ in track.chunks)),
    )


def _table(kind: bytes, row: str, rows: Iterable[tuple[int, ...]]) -> bytes:
    packed = [struct.pack(row, *values) for values in rows]
    return _full(kind, 0, 0, struct.pack(">I", len(packed)), *packed)


def _run_lengths(values: Iterable[int]) -> list[tuple[int, int]]:
    """[3, 3, 5] -> [(2, 3), (1, 5)]."""
    return [(len(list(group)), value) for value, group in itertools.groupby(values)]


def _matrix(turn: tuple[int, int, int, int], width: int = 0, height: int = 0) -> bytes:
    """12: 6.2.2: {a b u, c d v, x y w}, where x and y move a turned picture back into view."""
    a, b, c, d = turn
    x = (width if a < 0 else 0) + (height if c < 0 else 0)
    y = (width if b < 0 else 0) + (height if d < 0 else 0)
    one = 0x1_0000
    return struct.pack(">iiiiiiiii", a * one, b * one, 0, c * one, d * one, 0, x * one, y * one, 0x4000_0000)


def _shown(track: Track) -> int:
    """How long a track is played, in the movie's timescale."""
    return max(0, sum(track.durations()) - track.skip) * MOVIE_TIMESCALE // track.timescale
