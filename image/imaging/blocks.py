"""Which blocks of a card's image matter: flashing need not write the others, and a block map tells so.

A hole in an image made by `assemble` is no sign of that: there, what must be zero on the card is a hole, too.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

SECTOR = 512
_BLOCK = 4096
_EXT4 = "83"
_FREE = re.compile(r"^ +Free blocks: (.+)$", re.MULTILINE)


def hole_where_free(image: Path) -> None:
    """Make a hole of each block that no file system of `image` uses, and of no other. Raises CalledProcessError."""
    whole = image.with_name(f"{image.name}.part")
    subprocess.run(["cp", "--sparse=never", image, whole], check=True)
    for start, size in _free(image):
        punch = ("fallocate", "--punch-hole", f"--offset={start}", f"--length={size}", whole)
        subprocess.run(punch, check=True)
    whole.rename(image)


def _free(image: Path) -> Iterator[tuple[int, int]]:
    """Yield where free blocks of ext4 lie in the image, and how much they are; in bytes."""
    told = subprocess.run(["sfdisk", "--json", image], check=True, capture_output=True, text=True).stdout
    for partition in json.loads(told)["partitiontable"]["partitions"]:
        if partition["type"] != _EXT4:
            continue
        start = partition["start"] * SECTOR
        # A group that is not initialized has free blocks, too, and the same words for them.
        asked = ("dumpe2fs", f"{image}?offset={start}")
        for line in _FREE.findall(subprocess.run(asked, check=True, capture_output=True, text=True).stdout):
            for blocks in line.split(", "):
                first, _, last = blocks.partition("-")
                yield start + int(first) * _BLOCK, (int(last or first) - int(first) + 1) * _BLOCK
