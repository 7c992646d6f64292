"""Reading back a growing MP4 that was cut: what is whole in it, so that it can be finished in place.

Only files that `mp4` itself wrote are read, from the device's own store. Lengths found in them are still not
believed: a power cut leaves whatever it leaves.
"""

import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from missed_moment.clips.mp4 import HEAD, MAX_SIZE, ClipFile, Track, Written
from missed_moment.durable import Disk, SequentialFile
from missed_moment.errors import ClipError

_MAX_INDEX_BOX = 16 * 1024 * 1024  # a `moov` or `moof` longer than this is not one of ours


class Box(NamedTuple):
    """Where a box lies: `start` of its head, `body`, `end`; offsets in what was searched."""

    kind: bytes
    start: int
    body: int
    end: int


def reopen(disk: Disk, path: Path) -> ClipFile | None:
    """Open a clip as it was left, cut it after its last whole fragment, ready to be finished.

    Returns None where it already is finished.
    Raises ClipError where not one fragment is whole (there is nothing to keep), OSError as the disk does.
    """
    descriptor = disk.open(path)
    try:
        size = os.fstat(descriptor).st_size
        boxes = list(_file_boxes(descriptor, size))
        kinds = [box.kind for box in boxes]
        if kinds[:1] != [b"ftyp"]:
            raise ClipError(f"{path} does not begin as a clip does: nothing in it can be kept")
        if kinds[1:] == [b"mdat", b"moov"]:
            disk.close(descriptor)
            return None
        if kinds[1:3] != [b"free", b"moov"]:
            raise ClipError(f"{path} ends before its first fragment: nothing in it can be kept")
        tracks = _tracks(_body(descriptor, boxes[2]))
        end, fragments = _fragments(descriptor, boxes[3:], tracks)
        if not fragments:
            raise ClipError(f"{path} ends before its first whole fragment: nothing in it can be kept")
        file = SequentialFile(disk, descriptor)
        file.truncate(end)
    except (KeyError, IndexError, struct.error) as error:
        disk.close(descriptor)
        raise ClipError(f"{path} holds a box that makes no sense ({error}): nothing in it can be kept") from error
    except BaseException:
        disk.close(descriptor)
        raise
    return ClipFile(file, tracks, patch_at=boxes[1].start, fragments=fragments)


def _file_boxes(descriptor: int, size: int) -> Iterator[Box]:
    """Yield the whole boxes of a file, up to the first that is cut or makes no sense."""
    position = 0
    while position + 8 <= size:
        length, kind = HEAD.unpack(os.pread(descriptor, 8, position))
        if length < 8 or position + length > size:
            return
        yield Box(kind, position, position + 8, position + length)
        position += length


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


def _fragments(descriptor: int, boxes: list[Box], tracks: list[Track]) -> tuple[int, int]:
    """Take all samples of whole fragments into `tracks`; return where the last one ends, and how many there are."""
    end, count = 0, 0
    for moof, mdat in itertools.pairwise(boxes):
        if (moof.kind, mdat.kind) != (b"moof", b"mdat") or mdat.end > MAX_SIZE:
            continue
        for traf in _children(_body(descriptor, moof))[b"traf"]:
            _run(traf, moof.start, tracks)
        end, count = mdat.end, count + 1
    return end, count


def _run(traf: bytes, moof_start: int, tracks: list[Track]) -> None:
    boxes = _children(traf)
    track = tracks[struct.unpack_from(">I", boxes[b"tfhd"][0], 4)[0] - 1]
    time = struct.unpack_from(">Q", boxes[b"tfdt"][0], 4)[0]
    trun = boxes[b"trun"][0]
    count, offset = struct.unpack_from(">Ii", trun, 4)
    track.chunks.append((moof_start + offset, count))
    for duration, size, flags in struct.iter_unpack(">III", trun[12 : 12 + 12 * count]):
        track.samples.append(Written(size, time, not flags & 0x1_0000))
        track.nominal = duration
        time += duration
