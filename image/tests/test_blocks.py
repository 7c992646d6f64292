"""A block map names all that matters: a card flashed by it is as sound as one that was written to from end to end."""

import os
import re
from pathlib import Path

import pytest
from cards import DATA, SYSTEM, in_ext4, is_sound, offset, said

from imaging.assemble import BLOCK
from imaging.blocks import hole_where_free


def flash_by_map(image: Path, place: Path) -> Path:
    """Return a used card onto which `image` was written as bmaptool does it: only what a map of its holes names."""
    block_map, flashed = place / "map", place / "flashed"
    said("bmaptool", "create", "--output", block_map, image)
    content = image.read_bytes()
    card = bytearray(b"\xa5" * len(content))
    for first, last in re.findall(r"<Range [^>]*> (\d+)(?:-(\d+))? <", block_map.read_text()):
        start, end = int(first) * BLOCK, (int(last or first) + 1) * BLOCK
        card[start:end] = content[start:end]
    flashed.write_bytes(card)
    return flashed


def test_the_map_is_enough(image: Path, tmp_path: Path) -> None:
    content = image.read_bytes()
    hole_where_free(image)
    assert image.read_bytes() == content
    assert image.stat().st_blocks * 512 < 0.75 * image.stat().st_size, "nothing was left out"
    flashed = flash_by_map(image, tmp_path)
    assert is_sound(flashed, tmp_path)
    assert in_ext4(flashed, SYSTEM, "cat /etc/hostname") == "missed-moment\n"


def test_holes_of_zeros_are_no_map(image: Path, tmp_path: Path) -> None:
    """What is a hole because it is zero matters: without that it would be what was on the card before."""
    said("fallocate", "--dig-holes", image)
    assert not is_sound(flash_by_map(image, tmp_path), tmp_path)


@pytest.mark.parametrize("number", [SYSTEM, DATA])
def test_data_is_no_hole(image: Path, number: int) -> None:
    """All that a file system uses is in the file, zero or not: its inode tables, for example."""
    hole_where_free(image)
    about = in_ext4(image, number, "show_super_stats")
    block = int(about.split("inode table at ")[-1].split()[0])
    with image.open("rb") as file:
        start = offset(image, number) + block * BLOCK
        assert os.lseek(file.fileno(), start, os.SEEK_DATA) == start
