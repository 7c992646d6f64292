"""Make a card's image of a root file system: a partition table, and three partitions. Nothing is mounted.

`/boot/firmware` of the tree becomes the first (vfat, for any computer), `/data` the third (ext4, for what is kept), and
the rest the second (ext4). It needs no loop device and no driver for vfat, so it runs on any kernel and in any
container; only root may do it, because files keep their owners. The same tree makes the same bytes, with e2fsprogs
1.47.1 or newer: before that, mke2fs takes over when files were last changed. `python -m imaging.assemble TREE IMAGE`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MB = 1 << 20
SECTOR = 512
BLOCK = 4096
"""Of ext4. What is made here is small and what becomes of /data is not: mke2fs would choose blocks for small disks."""
_FIRST_MB = 4
"""Where the first partition begins: cards are fastest at multiples of that."""
NAMESPACE = uuid.UUID("b4c9f2c0-6d6d-4d6d-8d6d-6d697373656d")
"""Of the UUIDs that are made here."""
_SYSTEM_MARGIN = 1.1
_SYSTEM_SPARE_MB = 96
_UNMOUNTED_BOOT = {
    "missed-moment.toml": """\
# /boot/firmware is not mounted: nobody knows what the settings there say. So microphone and camera stay off
# (the camera by a switch that is not there). The first table is no setting: the LED and the status show it as such.
["/boot/firmware is not mounted"]
[sound]
enabled = false
[button]
switch_pin = 26
"""
}
"""What lies in the directory /boot/firmware of the system, and is hidden when the boot partition is mounted there."""
_EPOCH = 1764201600  # of a tree that says nothing of its own time
LARGEST_CARD = 2 << 40
"""In bytes: more, neither SDXC nor an MBR can address."""
FOR_GROWTH = ("-i", "65536", "-m", "1")
"""mke2fs's options for /data. It chooses by the size at creation, and growing keeps its choice: by default an inode for
each 4 KiB and 5 % for root only, which is 11 % of a card. The smallest clips need an inode for each 64 KiB."""


@dataclass(frozen=True)
class Card:
    """What is to be made; sizes in megabytes, `disk_id` as sfdisk writes it (0x and eight digits), `epoch` Unix time.

    With no megabyte for data there is no third partition.

    `PARTUUID=<the eight digits>-01`, `-02` and `-03` are what fstab and the kernel's command line call the parts.
    """

    disk_id: str
    boot_mb: int = 256
    data_mb: int = 128
    epoch: int = _EPOCH

    @classmethod
    def of(cls, tree: Path, **sizes: int) -> Self:
        """Return the card that `tree` is for: its fstab says what the disk is called. Raises ValueError."""
        named = re.search(r"^PARTUUID=([0-9a-f]{8})-02\s+/\s", (tree / "etc/fstab").read_text(), re.MULTILINE)
        if not named:
            raise ValueError(f"{tree}/etc/fstab does not say PARTUUID=<eight digits>-02 of /")
        return cls(f"0x{named[1]}", epoch=int(os.environ.get("SOURCE_DATE_EPOCH", _EPOCH)), **sizes)

    def uuid(self, part: str) -> str:
        """Return the UUID of a part's file system, which is always the same."""
        return str(uuid.uuid5(NAMESPACE, f"{self.disk_id} {part}"))


@dataclass(frozen=True)
class _Place:
    start_mb: int
    size_mb: int


def assemble(tree: Path, image: Path, card: Card) -> None:
    """Write `image`. Raises CalledProcessError where a tool fails, and FileNotFoundError where one is missing."""
    with _set_aside(tree, "boot/firmware", _UNMOUNTED_BOOT) as boot, _set_aside(tree, "data") as data:
        system_mb = round(_used_mb(tree) * _SYSTEM_MARGIN) + _SYSTEM_SPARE_MB
        sizes = (card.boot_mb, system_mb, *([card.data_mb] if card.data_mb else []))
        places = [_Place(_FIRST_MB + sum(sizes[:number]), size) for number, size in enumerate(sizes)]
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate((_FIRST_MB + sum(sizes) + 1) * MB)
        _partition(image, places, card)
        _vfat(boot, image, places[0], card)
        _ext4(tree, image, places[1], card, "system")
        if card.data_mb:
            # Room for the group descriptors of the largest card: with too little, the kernel converts to meta_bg.
            _ext4(data, image, places[2], card, "data", FOR_GROWTH, f",resize={LARGEST_CARD // BLOCK}")


@contextmanager
def _set_aside(tree: Path, name: str, instead: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Leave only the files `instead` in `name` for the length of a block, and give where its content is meanwhile."""
    place = tree / name
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="aside-", dir=tree.parent) as scratch:
        aside = Path(scratch) / "content"
        place.rename(aside)
        place.mkdir()
        try:
            for file, text in (instead or {}).items():
                (place / file).write_text(text)
            yield aside
        finally:
            shutil.rmtree(place)
            aside.rename(place)


def _clamp(tree: Path, epoch: int) -> None:
    """Let no file be younger than the image is said to be."""
    for path in (tree, *tree.rglob("*")):
        if path.lstat().st_mtime > epoch:
            os.utime(path, (epoch, epoch), follow_symlinks=False)


def _used_mb(tree: Path) -> int:
    said = _run("du", "--summarize", "--one-file-system", "--block-size=1M", tree)
    return int(said.split()[0])


def _partition(image: Path, places: list[_Place], card: Card) -> None:
    lines = [
        f"start={place.start_mb * MB // SECTOR}, size={place.size_mb * MB // SECTOR}, type={'83' if number else 'c'}"
        for number, place in enumerate(places)
    ]
    table = "\n".join(["label: dos", f"label-id: {card.disk_id}", *lines]) + "\n"
    _run("sfdisk", "--quiet", "--no-reread", image, stdin=table)


def _vfat(content: Path, image: Path, place: _Place, card: Card) -> None:
    with tempfile.TemporaryDirectory(prefix="vfat-", dir=image.parent) as scratch:
        part = Path(scratch) / "part"
        with part.open("wb") as file:
            file.truncate(place.size_mb * MB)
        _clamp(content, card.epoch)
        env = {"SOURCE_DATE_EPOCH": str(card.epoch), "TZ": "UTC"}
        _run("mkfs.vfat", "-F", "32", "--invariant", "-i", card.disk_id[2:], "-n", "BOOT", part, env=env)
        if files := sorted(content.iterdir()):
            # -s: with all that is below; -m: with their times; -Q: stop at what goes wrong.
            _run("mcopy", "-s", "-m", "-Q", "-i", part, *files, "::", env=env)
        copy = ("dd", f"if={part}", f"of={image}", "bs=1M", "conv=notrunc,sparse", "status=none")
        _run(*copy, f"seek={place.start_mb}")


def _ext4(
    content: Path,
    image: Path,
    place: _Place,
    card: Card,
    label: str,
    more: tuple[str, ...] = (),
    more_extended: str = "",
) -> None:
    _clamp(content, card.epoch)
    extended = f"offset={place.start_mb * MB},hash_seed={card.uuid(label)},assume_storage_prezeroed=1,root_owner=0:0"
    extended += more_extended
    options = ("-q", "-F", "-t", "ext4", "-b", str(BLOCK), *more, "-L", label, "-U", card.uuid(label), "-E", extended)
    env = {"SOURCE_DATE_EPOCH": str(card.epoch), "E2FSPROGS_FAKE_TIME": str(card.epoch)}
    _run("mke2fs", *options, "-d", content, image, f"{place.size_mb}M", env=env)


def _run(*command: str | Path, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, check=True, input=stdin, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    return done.stdout


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path, help="the root file system; it is the same afterwards, but for file times")
    parser.add_argument("image", type=Path, help="where the image is written")
    said = parser.parse_args()
    try:
        assemble(said.tree, said.image, Card.of(said.tree))
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        sys.exit(f"no image was made: {error}")


if __name__ == "__main__":
    main()
