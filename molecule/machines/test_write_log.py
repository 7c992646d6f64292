"""The log of writes, as the kernel documents it: what is read from it, and what a disk held at each of its points."""

import random
import struct
from pathlib import Path

from machines.write_log import apply, contains, entries, epochs, some_of

SECTOR = 512
FLUSH, DISCARD = 1, 4


def log(place: Path, *records: tuple[int, bytes, int]) -> Path:
    """Write a log of (sector, data, flags)."""
    content = struct.pack("<QQQI", 0x6A736677736872, 1, len(records), SECTOR).ljust(SECTOR, b"\0")
    for sector, data, flags in records:
        size = len(data) // SECTOR
        content += struct.pack("<QQQQ", sector, size, flags, 0).ljust(SECTOR, b"\0")
        content += b"" if flags & DISCARD else data
    path = place / "log"
    path.write_bytes(content)
    return path


def test_writes_are_told_by_the_flushes_between_them(tmp_path: Path) -> None:
    a, b, c = (letter * SECTOR for letter in (b"a", b"b", b"c"))
    path = log(tmp_path, (2, a, 0), (4, b * 2, 0), (0, b"", FLUSH), (2, b, DISCARD), (3, c, 0))
    assert entries(path) == 5
    first, last = epochs(path)
    assert [(write.at, write.data) for write in first.writes] == [(2 * SECTOR, a), (4 * SECTOR, b * 2)]
    assert first.end == 3
    assert [(write.at, write.data) for write in last.writes] == [(2 * SECTOR, None), (3 * SECTOR, c)]
    assert contains(path, b"ccc")
    assert not contains(path, b"ddd")


def test_what_is_applied_is_what_the_part_of_the_disk_holds(tmp_path: Path) -> None:
    a, b = (letter * SECTOR for letter in (b"a", b"b"))
    [epoch] = epochs(log(tmp_path, (1, a, 0), (2, b, 0), (9, b, 0)))
    image = tmp_path / "image"
    image.write_bytes(bytes(4 * SECTOR))
    apply(epoch.writes, image, begin=2 * SECTOR, size=4 * SECTOR)
    assert image.read_bytes() == b + bytes(3 * SECTOR)


def test_a_disk_without_power_may_have_written_any_of_it(tmp_path: Path) -> None:
    [epoch] = epochs(log(tmp_path, *((number, bytes(SECTOR), 0) for number in range(8))))
    chance = random.Random(1)  # noqa: S311
    seen = {frozenset(write.at for write in some_of(epoch, chance)) for _ in range(300)}
    assert {len(some) for some in seen} == set(range(9))
    assert all(some <= {write.at for write in epoch.writes} for some in seen)
