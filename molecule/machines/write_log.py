"""What a disk was told to write, in order, and what it would hold had the power gone at any point of that.

The log is in the kernel's dm-log-writes format (Documentation/admin-guide/device-mapper/log-writes.rst), as QEMU's
blklogwrites writes it.
"""

import mmap
import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SUPER = struct.Struct("<QQQI")
_MAGIC = 0x6A736677736872
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _DISCARD = 1, 4


@dataclass(frozen=True)
class Write:
    """Some bytes at a place on the disk; None where it was told that they do not matter any more."""

    at: int
    size: int
    data: bytes | None


@dataclass(frozen=True)
class Epoch:
    """All that was written between one flush and the next, which is the log's entry number `end`.

    Of an epoch that did not come to its end a disk may hold anything; of those before, everything. The last may have no
    flush to end it.
    """

    writes: tuple[Write, ...]
    end: int


def entries(log: Path) -> int:
    """Return how many entries the log has by now."""
    with log.open("rb") as file:
        magic, _, count, _ = _SUPER.unpack(file.read(_SUPER.size))
    if magic != _MAGIC:
        raise ValueError(f"{log} is no log of writes")
    return int(count)


def epochs(log: Path) -> Iterator[Epoch]:
    """Yield what the log holds, flush by flush."""
    count = entries(log)
    with log.open("rb") as file:
        (sector,) = struct.unpack_from("<I", file.read(_SUPER.size), _SUPER.size - 4)
        position, writes = sector, list[Write]()
        for number in range(1, count + 1):
            file.seek(position)
            at, sectors, flags, _ = _ENTRY.unpack(file.read(_ENTRY.size))
            position += sector
            data = None
            if sectors and not flags & _DISCARD:
                file.seek(position)
                data = file.read(sectors * sector)
                position += len(data)
            if flags & _FLUSH:
                yield Epoch(tuple(writes), number)
                writes = []
            if sectors:
                writes.append(Write(at * sector, sectors * sector, data))
        if writes:
            yield Epoch(tuple(writes), count)


def some_of(epoch: Epoch, chance: random.Random) -> list[Write]:
    """Choose writes that a disk may have made before the power went: any of them, in any order."""
    share = chance.random()
    chosen = [write for write in epoch.writes if chance.random() < share]
    chance.shuffle(chosen)
    return chosen


def apply(writes: Iterable[Write], image: Path, begin: int, size: int) -> None:
    """Write to `image`, which is the part of the disk that begins so many bytes into it and is so long."""
    with image.open("r+b") as file:
        for write in writes:
            if write.data is not None and begin <= write.at and write.at + write.size <= begin + size:
                file.seek(write.at - begin)
                file.write(write.data)


def contains(file: Path, mark: bytes) -> bool:
    """Tell whether a file holds some bytes in a row."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(mark) >= 0
