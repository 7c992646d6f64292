import os
import subprocess
from pathlib import Path

from cards import card

from imaging.assemble import assemble
from imaging.base import unpack

MADE = (1_600_000_000, 1_600_003_600)


def test_a_base_makes_the_same_card_whenever_it_was_made(tree: Path, tmp_path: Path) -> None:
    images = []
    for made in MADE:
        for path in (tree, *tree.rglob("*")):
            os.utime(path, (made, made), follow_symlinks=False)
        tar, copy, image = (tmp_path / f"{what}-{made}" for what in ("tar", "copy", "image"))
        subprocess.run(["tar", "--create", "--file", tar, "--directory", tree, "."], check=True)
        unpack(tar, copy)
        # What is made of it before the card takes its time from it, too.
        assert not {path.lstat().st_mtime for path in (copy, *copy.rglob("*"))} & set(MADE)
        assemble(copy, image, card(copy))
        images.append(image.read_bytes())
    assert images[0] == images[1]
