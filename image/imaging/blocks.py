"""Which blocks of a card's image matter: flashing need not write the others, and a block map tells so.

A hole in an image made by `assemble` is no sign of that: there, what must be zero on the card is a hole, too.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from imaging.assemble import BLOCK, SECTOR

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
        start, size = partition["start"] * SECTOR, partition["size"] * SECTOR
        with tempfile.NamedTemporaryFile(dir=image.parent) as part:  # dumpe2fs finds no file system within a file
            copy = ("dd", f"if={image}", f"of={part.name}", "bs=1M", "iflag=skip_bytes,count_bytes", "conv=sparse")
            subprocess.run([*copy, f"skip={start}", f"count={size}", "status=none"], check=True)
            said = subprocess.run(["dumpe2fs", part.name], check=True, capture_output=True, text=True).stdout
        for line in _FREE.findall(said):
            for blocks in line.split(", "):
                first, _, last = blocks.partition("-")
                yield start + int(first) * BLOCK, (int(last or first) - int(first) + 1) * BLOCK
