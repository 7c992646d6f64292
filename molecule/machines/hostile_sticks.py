"""Sticks from strangers: broken, full, misleading, or no sticks at all."""

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machines import hostile_images as images
from machines.sticks import MB

_BROKEN = 300
"""So many sectors of a dying stick cannot be read or written."""
_WINDOW = 640 * 1024
"""So much memory a stick has where it wraps around."""
_ALL = ("vfat", "exfat", "ntfs", "ext4")
_SUMS_ELSEWHERE = b"".join(
    b"%064x  %s\n" % (number, name)
    for number, name in enumerate((b"../../etc/passwd", b"/etc/shadow", b"/data/clips", b"..", b"a/../../b", b"\x00"))
)


def _ours(name: str) -> str:
    return f"missed-moment/{name}"


_LINKS = {
    _ours("SHA256SUMS"): "/etc/passwd",
    _ours("index.html"): "/data/clips",
    _ours("moments.jsonl"): "../../../etc/shadow",
}


@dataclass(frozen=True)
class Hostile:
    """A stick called `name`; `make` writes its image.

    `led` is what the LED may say of it at last; `accepted` are the file systems that the device's owner accepts.
    """

    name: str
    make: Callable[[Path], None]
    led: tuple[str, ...] = ("solid", "fault 4")
    manner: Mapping[str, Any] = field(default_factory=dict)
    accepted: tuple[str, ...] = ("vfat", "exfat")


def cases() -> Iterator[Hostile]:
    """Yield all of them."""
    yield from _flipped("vfat", images.vfat, images.vfat_regions)
    yield from _flipped("exfat", images.exfat, images.exfat_regions)
    yield from _flipped("ext4", images.ext4, images.ext4_regions)
    yield from _flipped("ntfs", images.ntfs, images.ntfs_regions)
    yield Hostile("vfat, a chain of clusters that is a ring", images.vfat_with_a_ring)
    yield Hostile("vfat, a folder that holds itself", images.vfat_with_a_loop)
    yield Hostile("vfat, cut in the middle", lambda image: images.cut(image, images.vfat))
    yield Hostile("exfat, cut in the middle", lambda image: images.cut(image, images.exfat), ("fault 4",))
    yield Hostile("vfat, missed-moment is a file", images.holding({"missed-moment": b"no"}), ("fault 4",))
    yield Hostile("vfat, MISSED-MOMENT in capitals", images.holding({"MISSED-MOMENT/x.txt": b"x"}), ("solid",))
    yield Hostile("vfat, index.html is a folder", images.holding({_ours("index.html/a"): b""}), ("fault 4",))
    yield Hostile("vfat, SHA256SUMS is a folder", images.holding({_ours("SHA256SUMS/a"): b""}), ("fault 4",))
    yield Hostile("vfat, SHA256SUMS is noise", images.holding({_ours("SHA256SUMS"): images.noise(9)}), ("solid",))
    yield Hostile("vfat, the notes are noise", images.holding({_ours("moments.jsonl"): images.noise(8)}), ("solid",))
    yield Hostile(
        "vfat, SHA256SUMS points elsewhere", images.holding({_ours("SHA256SUMS"): _SUMS_ELSEWHERE}), ("solid",)
    )
    yield Hostile("vfat, clips of the same names are there", images.vfat_with_namesakes, ("solid",))
    yield Hostile("vfat, full", images.holding({"film.bin": 47 * MB}), ("fault 4",))
    yield Hostile("vfat, a megabyte left", images.holding({"film.bin": 46 * MB}), ("fault 4",))
    yield Hostile("vfat, a million files", images.vfat_with_a_million)
    yield Hostile("vfat, write-protected", images.vfat, ("fault 4",), {"write_protected": True})
    yield Hostile("vfat, errors in its first FAT", images.vfat, ("fault 4",), {"broken_sectors": [32, 33, 34]})
    yield Hostile(
        "vfat, errors where clips would be", images.vfat, ("fault 4",), {"broken_sectors": range(1800, 2600, 7)}
    )
    yield Hostile("exfat, errors in its first sectors", images.exfat, ("fault 4",), {"broken_sectors": range(8)})
    for seed in range(3):
        yield Hostile(f"vfat, errors at random, {seed}", images.vfat, manner={"broken_sectors": _at_random(seed)})
    yield Hostile("vfat, less than it says", images.vfat_half_full, ("fault 4",), {"real_bytes": 20 * MB})
    # Larger than a clip, and smaller than two: each reads back rightly, until the next is written over it.
    wraps = {"real_bytes": 25 * MB + _WINDOW, "wrap_from": 25 * MB}
    yield Hostile("vfat, wraps around", images.vfat_half_full, ("fault 4",), wraps)
    yield Hostile("ext4, not accepted", images.ext4, ("fault 4",))
    yield Hostile("ext4", images.ext4, ("solid",), accepted=_ALL)
    yield Hostile("ext4, not ours to write to", images.ext4_of_root, ("fault 4",), accepted=_ALL)
    link = images.ext4_with({"missed-moment": "/etc"})
    yield Hostile("ext4, missed-moment is a link to /etc", link, ("fault 4",), accepted=_ALL)
    yield Hostile("ext4, links in our folder", images.ext4_with(_LINKS), ("solid",), accepted=_ALL)
    yield Hostile("NTFS", images.ntfs, ("solid",), accepted=_ALL)
    yield Hostile("NTFS of a Windows that sleeps", images.ntfs_asleep, ("fault 4",), accepted=_ALL)
    yield Hostile("swap", lambda image: images.other(image, "mkswap"), ("fault 4",))
    yield Hostile("LUKS", lambda image: images.signed(image, 0, b"LUKS\xba\xbe\x00\x02"), ("fault 4",))
    yield Hostile("ISO 9660", lambda image: images.signed(image, 0x8001, b"CD001\x01"), ("fault 4",))
    yield Hostile("NTFS, not accepted", images.ntfs, ("fault 4",))
    yield Hostile("nothing", lambda image: images.signed(image, 0, b""), ("fault 4",))
    yield Hostile("noise", lambda image: images.signed(image, 0, images.noise(1) * 64), ("fault 4",))
    yield Hostile("128 empty partitions", images.many_partitions, ("fault 4",))
    yield Hostile("a partition that ends beyond the stick", images.partition_beyond, ("fault 4", "solid"))
    yield Hostile("an EFI partition alone", images.efi_alone, ("fault 4",))


def _flipped(kind: str, make: Callable[[Path], None], regions: Callable[[Path], images.Regions]) -> Iterator[Hostile]:
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
            images.patch(image, at, bytes(content))

        yield Hostile(f"{kind}, bits turned over in the {part}", flip, accepted=_ALL)


def _at_random(seed: int) -> list[int]:
    """Return sectors of a dying stick."""
    sectors = range(images.SIZE // images.SECTOR)
    return random.Random(seed).sample(sectors, _BROKEN)  # noqa: S311 - the same each time
