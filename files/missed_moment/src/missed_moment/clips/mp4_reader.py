"""Reading back a growing MP4 that was cut or damaged: what is whole in it, so that it can be finished in place.

Only files that `mp4` itself wrote are read, from the device's own store. Lengths found in them are still not
believed: a power cut leaves whatever it leaves, and cards return zeros or flipped bits. A damaged fragment is left out;
the fragments before and after it are kept. Its bytes stay in the file, where no sample refers to them.
"""

import logging
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from missed_moment.clips.mp4 import BRAND, HEAD, MAX_SIZE, MAX_TICKS, ClipFile, Track, Written, index_box
from missed_moment.durable import Disk, SequentialFile
from missed_moment.errors import ClipError, DamagedClipError

log = logging.getLogger(__name__)

_MAX_INDEX_BOX = 16 * 1024 * 1024  # a `moov` or `moof` longer than this is not one of ours
_SEARCH = 1024 * 1024
_HEAD = len(BRAND) + 8  # brand, and the eight bytes that finishing patches
_MAX_GAP_S = 3600
"""No moment is that long. An earlier version wrote moments with an outage of hours in them."""


class Box(NamedTuple):
    """Where a box lies: `start` of its head, `body`, `end`; offsets in what was searched."""

    kind: bytes
    start: int
    body: int
    end: int


class _Run(NamedTuple):
    """The samples of one track in one fragment, and where the first of them lies in the file."""

    track: Track
    offset: int
    samples: list[Written]
    nominal: int


def reopen(disk: Disk, path: Path, finished_too: bool = False) -> ClipFile | None:
    """Open a clip as it was left, cut it after its last whole fragment, ready to be finished.

    Returns None if it is finished already and its index is whole, unless `finished_too`.
    Raises DamagedClipError if there are whole fragments that cannot be used, ClipError if there is none (the moment was
    not kept yet), OSError as the disk does.
    """
    descriptor = disk.open(path)
    try:
        size = os.fstat(descriptor).st_size
        moov = _box_at(descriptor, _HEAD, size)
        if moov is None or moov.kind != b"moov":
            raise _nothing_to_keep(descriptor, path, size, "its head is damaged")
        try:
            tracks = _tracks(_body(descriptor, moov))
        except (LookupError, ValueError, struct.error) as error:
            raise _nothing_to_keep(descriptor, path, size, f"its head makes no sense ({error})") from error
        end, fragments = _take_fragments(descriptor, moov.end, size, tracks)
        if not fragments:
            raise _nothing_to_keep(descriptor, path, size, "none of its fragments is whole")
        if not finished_too and _is_finished(descriptor, end, size, tracks):
            disk.close(descriptor)
            return None
        log.info("%s: %d fragments are whole, %d bytes after them are cut off", path, fragments, size - end)
        file = SequentialFile(disk, descriptor)
        file.truncate(end)
        if os.pread(descriptor, _HEAD, 0) != (unfinished := BRAND + HEAD.pack(8, b"free")):
            file.patch(unfinished, 0)
    except BaseException:
        disk.close(descriptor)
        raise
    return ClipFile(file, tracks, patch_at=len(BRAND), fragments=fragments)


def _nothing_to_keep(descriptor: int, path: Path, size: int, why: str) -> ClipError:
    if next(_fragments(descriptor, 0, size), None) is not None:
        return DamagedClipError(f"{path} cannot be finished: {why}")
    return ClipError(f"{path} ends before its first whole fragment: nothing in it can be kept")


def _is_finished(descriptor: int, end: int, size: int, tracks: list[Track]) -> bool:
    """Whether the index at the end of the file is the one that belongs to its fragments."""
    head = os.pread(descriptor, _HEAD, 0)
    if head != BRAND + HEAD.pack(end - len(BRAND), b"mdat"):
        return False
    index = os.pread(descriptor, min(size - end, _MAX_INDEX_BOX), end)
    (created,) = struct.unpack_from(">Q", index, 20) if len(index) >= 28 else (0,)
    return index == index_box(tracks, created)


def _box_at(descriptor: int, position: int, size: int) -> Box | None:
    """Read the head of the box at `position`; None if the box is cut or makes no sense."""
    head = os.pread(descriptor, 8, position)
    if len(head) < 8:
        return None
    length, kind = HEAD.unpack(head)
    if length < 8 or position + length > size:
        return None
    return Box(kind, position, position + 8, position + length)


def _body(descriptor: int, box: Box) -> bytes:
    length = min(box.end - box.body, _MAX_INDEX_BOX)
    return os.pread(descriptor, length, box.body)


def _children(data: bytes) -> dict[bytes, list[bytes]]:
    """Split the body of a container box: kind -> bodies, in order."""
    found: dict[bytes, list[bytes]] = {}
    position = 0
    while position + 8 <= len(data):
        length, kind = HEAD.unpack_from(data, position)
        if length < 8 or position + length > len(data):
            raise ClipError(f"a {kind!r} box is longer than what holds it")
        found.setdefault(kind, []).append(data[position + 8 : position + length])
        position += length
    return found


def _tracks(moov: bytes) -> list[Track]:
    """Rebuild the tracks from the `moov` at the head, which was synced before anything else."""
    tracks = []
    for trak in _children(moov)[b"trak"]:
        boxes = _children(trak)
        tkhd = boxes[b"tkhd"][0]
        media = _children(boxes[b"mdia"][0])
        stbl = _children(_children(media[b"minf"][0])[b"stbl"][0])
        a, b, _, c, d = struct.unpack_from(">iiiii", tkhd, 52)
        width, height = struct.unpack_from(">II", tkhd, 88)
        tracks.append(
            Track(
                handler=media[b"hdlr"][0][8:12],
                timescale=struct.unpack_from(">I", media[b"mdhd"][0], 20)[0],
                entry=stbl[b"stsd"][0][8:],
                nominal=1,
                width=width >> 16,
                height=height >> 16,
                matrix=(a >> 16, b >> 16, c >> 16, d >> 16),
                skip=_skip(boxes),
            )
        )
    return tracks


def _skip(trak: dict[bytes, list[bytes]]) -> int:
    if b"edts" not in trak:
        return 0
    (elst,) = _children(trak[b"edts"][0])[b"elst"]
    return int(struct.unpack_from(">I", elst, 12)[0])


def _fragments(descriptor: int, position: int, size: int) -> Iterator[tuple[Box, Box]]:
    """Yield `moof` and `mdat` of each fragment from `position` on; what lies between fragments is passed over."""
    while True:
        moof = _box_at(descriptor, position, size)
        mdat = _box_at(descriptor, moof.end, size) if moof and moof.kind == b"moof" else None
        if moof and mdat and mdat.kind == b"mdat" and mdat.end <= MAX_SIZE and moof.end - moof.start <= _MAX_INDEX_BOX:
            yield moof, mdat
            position = mdat.end
        else:
            found = _find(descriptor, b"moof", position + 5)
            if found is None:
                return
            position = found - 4


def _find(descriptor: int, wanted: bytes, position: int) -> int | None:
    while len(data := os.pread(descriptor, _SEARCH, position)) >= len(wanted):
        if (at := data.find(wanted)) >= 0:
            return position + at
        position += len(data) - len(wanted) + 1
    return None


def _take_fragments(descriptor: int, begin: int, size: int, tracks: list[Track]) -> tuple[int, int]:
    """Take the samples of whole fragments into `tracks`; return where the last one ends, and how many there are."""
    end, count, skipped_ticks = begin, 0, 0
    follows = False  # whether the frames before are there, which a frame that is no keyframe needs
    again: int | None = begin
    while again is not None:
        position, again = again, None
        for moof, mdat in _fragments(descriptor, position, size):
            if moof.start != end:
                log.warning("bytes %d to %d of a clip are damaged: they are left out", end, moof.start)
                follows = False
            try:
                runs = _runs(descriptor, moof, mdat, tracks)
                outage_ticks = _outage_ticks(runs, tracks, skipped_ticks)
                runs = [_checked(run, skipped_ticks + outage_ticks) for run in runs]
            except (LookupError, ValueError, struct.error):
                again = moof.body  # its length may be wrong as well
                break
            skipped_ticks += outage_ticks
            for run in runs:
                follows = _take(descriptor, run, follows)
            end, count = mdat.end, count + 1
    if not tracks or not tracks[0].samples:  # the first track is the video
        return end, 0
    _begin_with_the_first_frame(tracks)
    return end, count


def _runs(descriptor: int, moof: Box, mdat: Box, tracks: list[Track]) -> list[_Run]:
    """Read what a fragment holds. Raises ClipError and others if it contradicts itself."""
    runs, position = [], mdat.body
    for traf in _children(_body(descriptor, moof))[b"traf"]:
        boxes = _children(traf)
        track = tracks[struct.unpack_from(">I", boxes[b"tfhd"][0], 4)[0] - 1]
        (time,) = struct.unpack_from(">Q", boxes[b"tfdt"][0], 4)
        trun = boxes[b"trun"][0]
        count, offset = struct.unpack_from(">Ii", trun, 4)
        if not count or len(trun) != 12 + 12 * count or moof.start + offset != position:
            raise ClipError("the samples of a fragment are not where it announces them")
        samples, duration = [], 0
        for duration, length, flags in struct.iter_unpack(">III", trun[12:]):
            if not 0 < duration <= _MAX_GAP_S * track.timescale:
                raise ClipError("a sample lasts impossibly long")
            samples.append(Written(length, time, not flags & 0x1_0000))
            time += duration
            position += length
        runs.append(_Run(track, moof.start + offset, samples, duration))
    if position != mdat.end:
        raise ClipError("the samples of a fragment do not fill it")
    return runs


def _outage_ticks(runs: list[_Run], tracks: list[Track], skipped_ticks: int) -> int:
    """Return by how much a fragment comes later than any moment lasts. Only a clip without sound can be mended."""
    jumps = [
        run.samples[0].time - skipped_ticks - (run.track.samples[-1].time if run.track.samples else 0) for run in runs
    ]
    if max(jumps) <= _MAX_GAP_S * runs[jumps.index(max(jumps))].track.timescale:
        return 0
    if len(tracks) > 1:
        raise ClipError("a fragment comes impossibly late")
    return jumps[0] - runs[0].nominal


def _checked(run: _Run, skipped_ticks: int) -> _Run:
    """Return a run that follows what its track holds already; `skipped_ticks` are taken out of its times."""
    samples = [sample._replace(time=sample.time - skipped_ticks) for sample in run.samples]
    before = run.track.samples[-1].time if run.track.samples else -1
    if samples[0].time <= before or samples[-1].time + run.nominal > MAX_TICKS:
        raise ClipError("a fragment does not come after the one before it")
    return run._replace(samples=samples)


def _take(descriptor: int, run: _Run, follows: bool) -> bool:
    """Take the samples of a run up to the first that is damaged; returns whether the frames after it can follow.

    Of a video track, frames are left out until a keyframe if those before them are missing.
    """
    video = run.track.handler == b"vide"
    offset, samples = run.offset, list(run.samples)
    while video and not follows and samples and not samples[0].keyframe:
        offset += samples.pop(0).size
    end, good = offset, 0
    while good < len(samples) and _plays(descriptor, end, samples[good].size, video):
        end += samples[good].size
        good += 1
    if good:
        run.track.samples += samples[:good]
        run.track.chunks.append((offset, good))
        run.track.nominal = run.nominal
    return 0 < good == len(samples) if video else follows


def _plays(descriptor: int, offset: int, size: int, video: bool) -> bool:
    """Whether a sample can be what was written: whole NAL units that fill it, or sound that is not only zeros."""
    if not video:
        return any(os.pread(descriptor, size, offset))
    end = offset + size
    while offset < end:
        head = os.pread(descriptor, 5, offset)
        length = int.from_bytes(head[:4], "big")
        if len(head) < 5 or not length or head[4] & 0x80 or not head[4] & 0x1F:
            return False
        offset += 4 + length
    return offset == end


def _begin_with_the_first_frame(tracks: list[Track]) -> None:
    """Let a clip whose first fragments are damaged begin at 0, with the sound of its first frame."""
    video, *others = tracks
    base = video.samples[0].time
    if not base:
        return
    for track in others:
        start = base * track.timescale // video.timescale + track.skip
        # Sound is coded ahead of when it is heard by as much as is not played at the beginning.
        before = sum(sample.time + track.skip <= start for sample in track.samples)
        _drop_first(track, max(0, before - 1))
        if track.samples:
            track.skip = max(0, start - track.samples[0].time)
            _shift(track, track.samples[0].time)
    _shift(video, base)


def _drop_first(track: Track, count: int) -> None:
    dropped, track.samples = track.samples[:count], track.samples[count:]
    while dropped:
        offset, length = track.chunks.pop(0)
        gone = min(length, len(dropped))
        if gone < length:
            track.chunks.insert(0, (offset + sum(sample.size for sample in dropped[:gone]), length - gone))
        dropped = dropped[gone:]


def _shift(track: Track, ticks: int) -> None:
    track.samples = [sample._replace(time=sample.time - ticks) for sample in track.samples]
