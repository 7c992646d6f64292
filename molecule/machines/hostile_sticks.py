"""Sticks from strangers: broken, full, misleading, or no sticks at all. Made on the host, with nothing mounted."""

import random
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machines import host
from machines.sticks import MB, sparse

_SECTOR = 512
_SIZE = 48 * MB
FOREIGN = {"letter.txt": b"Dear Sir,\n", "holiday/beach.jpg": bytes(range(256)) * 40}
"""What lies on each vfat stick besides, and must lie there afterwards."""


@dataclass(frozen=True)
class Hostile:
    """A stick called `name`; `make` writes its image. `led` is what the LED may say of it at last."""

    name: str
    make: Callable[[Path], None]
    led: tuple[str, ...] = ("solid", "fault 4")
    manner: Mapping[str, Any] = field(default_factory=dict)


def cases() -> Iterator[Hostile]:
    """Yield all of them."""
    yield from _flipped("vfat", _vfat, _vfat_regions)
    yield from _flipped("exfat", _exfat, _exfat_regions)
    yield Hostile("vfat, a chain of clusters that is a ring", _vfat_with_a_ring)
    yield Hostile("vfat, a folder that holds itself", _vfat_with_a_loop)
    yield Hostile("vfat, cut in the middle", lambda image: _cut(image, _vfat))
    yield Hostile("exfat, cut in the middle", lambda image: _cut(image, _exfat), ("fault 4",))
    yield Hostile("vfat, missed-moment is a file", _holding({"missed-moment": b"no"}), ("fault 4",))
    yield Hostile("vfat, MISSED-MOMENT in capitals", _holding({"MISSED-MOMENT/x.txt": b"x"}), ("solid",))
    yield Hostile("vfat, index.html is a folder", _holding({_ours("index.html/a"): b""}), ("fault 4",))
    yield Hostile("vfat, SHA256SUMS is a folder", _holding({_ours("SHA256SUMS/a"): b""}), ("fault 4",))
    yield Hostile("vfat, SHA256SUMS is noise", _holding({_ours("SHA256SUMS"): _noise(9)}), ("solid",))
    yield Hostile("vfat, the notes are noise", _holding({_ours("moments.jsonl"): _noise(8)}), ("solid",))
    yield Hostile("vfat, clips of the same names are there", _vfat_with_namesakes, ("solid",))
    yield Hostile("vfat, full", _holding({"film.bin": 47 * MB}), ("fault 4",))
    yield Hostile("vfat, a megabyte left", _holding({"film.bin": 46 * MB}), ("fault 4",))
    yield Hostile("vfat, twenty thousand files", _vfat_with_many, ("solid",))
    yield Hostile("vfat, write-protected", _vfat, ("fault 4",), {"write_protected": True})
    yield Hostile("vfat, errors in its first FAT", _vfat, ("fault 4",), {"broken_sectors": [32, 33, 34]})
    yield Hostile("vfat, errors where clips would be", _vfat, ("fault 4",), {"broken_sectors": range(1800, 2600, 7)})
    yield Hostile("exfat, errors in its first sectors", _exfat, ("fault 4",), {"broken_sectors": range(8)})
    yield Hostile("ext4, not accepted", lambda image: _other(image, "mke2fs", "-q", "-F", "-t", "ext4"), ("fault 4",))
    yield Hostile("swap", lambda image: _other(image, "mkswap"), ("fault 4",))
    yield Hostile("LUKS", lambda image: _signed(image, 0, b"LUKS\xba\xbe\x00\x02"), ("fault 4",))
    yield Hostile("ISO 9660", lambda image: _signed(image, 0x8001, b"CD001\x01"), ("fault 4",))
    yield Hostile("NTFS, not accepted", lambda image: _signed(image, 3, b"NTFS    "), ("fault 4",))
    yield Hostile("nothing", lambda image: _signed(image, 0, b""), ("fault 4",))
    yield Hostile("noise", lambda image: _signed(image, 0, _noise(1) * 64), ("fault 4",))
    yield Hostile("128 empty partitions", _many_partitions, ("fault 4",))
    yield Hostile("a partition that ends beyond the stick", _partition_beyond, ("fault 4", "solid"))
    yield Hostile("an EFI partition alone", _efi_alone, ("fault 4",))


def foreign_on(image: Path) -> dict[str, bytes]:
    """Return what lies on a whole-stick vfat image outside our folder, as the host reads it."""
    host.install("mcopy", "mtools")
    with tempfile.TemporaryDirectory() as scratch:
        for name in FOREIGN:
            top = name.split("/")[0]
            subprocess.run(["mcopy", "-n", "-s", "-i", image, f"::{top}", scratch], check=True, capture_output=True)
        return {name: (Path(scratch) / name).read_bytes() for name in FOREIGN}


def _ours(name: str) -> str:
    return f"missed-moment/{name}"


def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(4096)  # noqa: S311 - the same noise each time


def _other(image: Path, *command: str) -> None:
    sparse(image, _SIZE)
    subprocess.run([*command, image], check=True, capture_output=True)


def _signed(image: Path, at: int, content: bytes) -> None:
    sparse(image, _SIZE)
    _patch(image, at, content)


def _patch(image: Path, at: int, content: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(at)
        file.write(content)


def _vfat(image: Path, more: Mapping[str, bytes | int] | None = None) -> None:
    """Make a vfat stick with `FOREIGN` on it, and more: contents, or how many bytes of nothing in particular."""
    host.install("mkfs.vfat", "dosfstools")
    host.install("mcopy", "mtools")
    _other(image, "mkfs.vfat", "-F", "32", "-s", "1")
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        for name, content in {**FOREIGN, **(more or {})}.items():
            path = Path(scratch) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else bytes(content))
        tops = sorted(Path(scratch).iterdir())
        # -D s: what does not fit, or is there, is passed over.
        subprocess.run(["mcopy", "-D", "s", "-s", "-i", image, *tops, "::"], check=False, capture_output=True)


def _holding(more: Mapping[str, bytes | int]) -> Callable[[Path], None]:
    """Make vfat sticks that hold `more`."""
    return lambda image: _vfat(image, more)


def _exfat(image: Path) -> None:
    host.install("mkfs.exfat", "exfatprogs")
    _other(image, "mkfs.exfat")


Regions = dict[str, tuple[int, int]]
"""Where the parts of a file system lie: offset and length in bytes."""


def _vfat_regions(image: Path) -> Regions:
    head = image.read_bytes()[:_SECTOR]
    reserved, fats = struct.unpack_from("<HB", head, 14)
    (fat_sectors,) = struct.unpack_from("<I", head, 36)
    fat, length = reserved * _SECTOR, fat_sectors * _SECTOR
    return {
        "boot sector": (0, 90),
        "FSInfo": (_SECTOR, _SECTOR),
        "first FAT": (fat, 64),
        "second FAT": (fat + length, 64),
        "root folder": (fat + fats * length, 128),
    }


def _exfat_regions(image: Path) -> Regions:
    head = image.read_bytes()[:_SECTOR]
    fat, _, heap = struct.unpack_from("<III", head, 80)
    (root,) = struct.unpack_from("<I", head, 96)
    cluster = 1 << (head[108] + head[109])
    return {
        "boot sector": (64, 64),
        "boot checksum": (11 * _SECTOR, _SECTOR),
        "FAT": (fat * _SECTOR, 64),
        "bitmap": (heap * _SECTOR, 64),
        "root folder": (heap * _SECTOR + (root - 2) * cluster, 128),
    }


def _flipped(kind: str, make: Callable[[Path], None], regions: Callable[[Path], Regions]) -> Iterator[Hostile]:
    """Yield a stick for each part of a file system, with some of that part's bits turned over."""
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch) / "image")
        parts = regions(Path(scratch) / "image")
    for number, (part, (at, length)) in enumerate(parts.items()):

        def flip(image: Path, at: int = at, length: int = length, seed: int = number) -> None:
            make(image)
            chance = random.Random(seed)  # noqa: S311
            content = bytearray(image.read_bytes()[at : at + length])
            for _ in range(12):
                content[chance.randrange(length)] ^= 1 << chance.randrange(8)
            _patch(image, at, bytes(content))

        yield Hostile(f"{kind}, bits turned over in the {part}", flip)


def _vfat_with_a_ring(image: Path) -> None:
    _vfat(image, {"film.bin": 4 * MB})
    fats = [_vfat_regions(image)[name][0] for name in ("first FAT", "second FAT")]
    entries = list(struct.unpack_from("<2000I", image.read_bytes(), fats[0]))
    ring = next(number for number in range(100, 1900) if entries[number] == number + 1)
    entries[ring] = ring - 50
    for at in fats:
        _patch(image, at, struct.pack("<2000I", *entries))


def _vfat_with_a_loop(image: Path) -> None:
    """A folder whose first cluster is the root folder's."""
    _vfat(image)
    at, _ = _vfat_regions(image)["root folder"]
    content = bytearray(image.read_bytes()[at : at + _SECTOR])
    entry = next(n for n in range(0, _SECTOR, 32) if content[n : n + 11] == b"HOLIDAY    ")
    content[entry + 20 : entry + 22], content[entry + 26 : entry + 28] = b"\x00\x00", b"\x02\x00"
    _patch(image, at, bytes(content))


def _cut(image: Path, make: Callable[[Path], None]) -> None:
    """A stick that says that it is larger than it is."""
    make(image)
    with image.open("r+b") as file:
        file.truncate(_SIZE // 3)


def _vfat_with_namesakes(image: Path) -> None:
    clips = {_ours(f"moment-{number:06}.mp4"): b"not a clip" for number in range(1, 40)}
    _vfat(image, clips)


def _vfat_with_many(image: Path) -> None:
    many = {f"many{folder}/{number}": b"" for folder in range(20) for number in range(1000)}
    _vfat(image, many)


def _table(image: Path, script: str) -> None:
    host.install("sfdisk", "fdisk")
    sparse(image, _SIZE)
    subprocess.run(["sfdisk", "--quiet", "--no-reread", image], check=True, input=script, text=True)


def _many_partitions(image: Path) -> None:
    _table(image, "label: gpt\n" + "".join(f"start={2048 + n * 256}, size=256\n" for n in range(128)))


def _partition_beyond(image: Path) -> None:
    """An MBR that was made for a larger stick."""
    _vfat(image)
    entry = struct.pack("<8B2I", 0, 0, 0, 0, 0xC, 0, 0, 0, 2048, 1 << 30)
    _patch(image, 446, entry)
    _patch(image, 510, b"\x55\xaa")


def _efi_alone(image: Path) -> None:
    _table(image, "label: gpt\nstart=2048, size=80000, type=uefi\n")
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        part = sparse(Path(scratch) / "part", 80000 * _SECTOR)
        subprocess.run(["mkfs.vfat", "-F", "32", part], check=True, capture_output=True)
        _patch(image, 2048 * _SECTOR, part.read_bytes())
