"""USB sticks: image files made and read on the host, with nothing mounted. Small, and sparse, to be quick."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imaging import host

MB = 1 << 20
_SECTOR = 512
_START = 2048
"""Sectors before the first partition, as every tool leaves them."""


@dataclass(frozen=True)
class _Part:
    """A partition, or a whole stick: its file system, its size in bytes, and its type in the partition table."""

    filesystem: str
    size: int = 64 * MB
    type: str = "c"


@dataclass(frozen=True)
class _Kind:
    """What is on a stick; `used` is the number of the partition that is to be filled, None without partitions."""

    parts: tuple[_Part, ...]
    used: int | None = None


KINDS = {
    "vfat": _Kind((_Part("vfat"),)),
    "vfat in a partition": _Kind((_Part("vfat"),), used=1),
    "exfat": _Kind((_Part("exfat"),)),
    "exfat in a partition": _Kind((_Part("exfat", type="7"),), used=1),
    "EFI before a larger one": _Kind((_Part("vfat", 40 * MB, "ef"), _Part("vfat")), used=2),
}
LARGE = "large"
BLANK = "blank"
_ALL = {**KINDS, LARGE: _Kind((_Part("vfat", 2048 * MB),))}

_MAKE = {"vfat": ("mkfs.vfat", "-F", "32"), "exfat": ("mkfs.exfat",)}
_CHECK = {"vfat": ("fsck.vfat", "-n"), "exfat": ("fsck.exfat", "-n")}


@dataclass(frozen=True)
class Stick:
    """A stick in the file `image`, made as one of `KINDS`, or LARGE, or BLANK."""

    image: Path
    kind: str

    def __post_init__(self) -> None:
        host.install("mkfs.vfat", "dosfstools")
        host.install("mkfs.exfat", "exfatprogs")
        host.install("sfdisk", "fdisk")
        if self.kind == BLANK:
            sparse(self.image, 64 * MB)
            return
        kind = _ALL[self.kind]
        offsets = _offsets(kind)
        end = offsets[-1] + kind.parts[-1].size
        sparse(self.image, end if kind.used is None else end + MB)
        if kind.used is not None:
            lines = [
                f"start={offset // _SECTOR}, size={part.size // _SECTOR}, type={part.type}"
                for offset, part in zip(offsets, kind.parts, strict=True)
            ]
            subprocess.run(["sfdisk", "--quiet", self.image], check=True, input="\n".join(lines), text=True)
        for offset, part in zip(offsets, kind.parts, strict=True):
            with tempfile.TemporaryDirectory(dir=self.image.parent) as scratch:
                made = sparse(Path(scratch) / "part", part.size)
                subprocess.run([*_MAKE[part.filesystem], made], check=True, stdout=subprocess.DEVNULL)
                copy = ("dd", f"if={made}", f"of={self.image}", "bs=1M", "oflag=seek_bytes", f"seek={offset}")
                subprocess.run([*copy, "conv=notrunc,sparse", "status=none"], check=True)

    @property
    def partition(self) -> int | None:
        """The number of the partition that is to be filled; None where there are none."""
        return _ALL[self.kind].used

    @property
    def filesystem(self) -> str:
        """The file system of the part that is to be filled."""
        return self._used_part.filesystem

    def is_clean(self) -> bool:
        """Tell whether the checker finds nothing to repair, the mark of an unclean end included."""
        with self._part_alone() as part:
            return subprocess.run([*_CHECK[self.filesystem], part], check=False, capture_output=True).returncode == 0

    def copy_out(self, directory: Path) -> None:
        """Copy all that is on a vfat stick. Raises CalledProcessError where it cannot be read."""
        host.install("mcopy", "mtools")
        with self._part_alone() as part:
            # -n: never ask; -s: with all that is below.
            subprocess.run(["mcopy", "-n", "-s", "-i", part, "::*", directory], check=True)

    @property
    def _used_part(self) -> _Part:
        return _ALL[self.kind].parts[(self.partition or 1) - 1]

    @contextmanager
    def _part_alone(self) -> Iterator[Path]:
        """Copy the used part into a file of its own, for tools that know of no partitions."""
        kind = _ALL[self.kind]
        skip = _offsets(kind)[(kind.used or 1) - 1]
        with tempfile.TemporaryDirectory(dir=self.image.parent) as scratch:
            part = Path(scratch) / "part"
            copy = ("dd", f"if={self.image}", f"of={part}", "bs=1M", "iflag=skip_bytes,count_bytes", f"skip={skip}")
            size = (f"count={self._used_part.size}", "conv=sparse", "status=none")
            subprocess.run([*copy, *size], check=True)
            yield part


def _offsets(kind: _Kind) -> list[int]:
    """Return where each part begins, in bytes."""
    if kind.used is None:
        return [0]
    begins = [_START * _SECTOR]
    for part in kind.parts[:-1]:
        begins.append(begins[-1] + part.size)
    return begins


def sparse(path: Path, size: int) -> Path:
    """Make a file of nothing, `size` bytes long, and return it."""
    with path.open("wb") as file:
        file.truncate(size)
    return path
