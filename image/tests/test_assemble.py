import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from imaging.assemble import MB, SECTOR, Card, assemble

BOOT, SYSTEM, DATA = range(3)


def card(tree: Path) -> Card:
    return Card.of(tree, boot_mb=64, data_mb=32)


def said(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def partitions(image: Path) -> list[dict[str, int | str]]:
    table: list[dict[str, int | str]] = json.loads(said("sfdisk", "--json", image))["partitiontable"]["partitions"]
    return table


def offset(image: Path, number: int) -> int:
    return int(partitions(image)[number]["start"]) * SECTOR


def in_ext4(image: Path, number: int, request: str) -> str:
    return said("debugfs", "-R", request, f"{image}?offset={offset(image, number)}")


def test_three_partitions(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "card"
    assemble(tree, image, card(tree))
    table = partitions(image)
    assert [part["type"] for part in table] == ["c", "83", "83"]
    assert [int(part["start"]) % (4 * MB // SECTOR) for part in table[:1]] == [0]
    assert int(table[BOOT]["size"]) * SECTOR == 64 * MB
    assert int(table[DATA]["size"]) * SECTOR == 32 * MB
    assert json.loads(said("sfdisk", "--json", image))["partitiontable"]["id"] == "0x6d6d0001"


def test_each_has_what_is_its_own(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "card"
    assemble(tree, image, card(tree))
    on_boot = f"{image}@@{offset(image, BOOT)}"
    assert said("mtype", "-i", on_boot, "::config.txt") == "camera_auto_detect=1\n"
    assert said("mdir", "-b", "-/", "-i", on_boot).split() == [
        "::/config.txt",
        "::/overlays/",
        "::/overlays/disable-bt.dtbo",
    ]
    assert in_ext4(image, SYSTEM, "cat /etc/hostname") == "missed-moment\n"
    assert "Mode:  04755" in in_ext4(image, SYSTEM, "stat /usr/bin/tool")
    assert 'Fast link dest: "usr/bin"' in in_ext4(image, SYSTEM, "stat /bin")
    for mount_point in ("/boot/firmware", "/data"):
        assert in_ext4(image, SYSTEM, f"ls -p {mount_point}").count("\n") == 2 + 1  # itself and its parent
    assert "User:   998   Group:   998" in in_ext4(image, DATA, "stat /clips")
    assert (tree / "boot/firmware/config.txt").exists(), "the tree is as it was"


def test_the_same_tree_makes_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    assemble(tree, first, card(tree))
    # As if it were made anew, later: every file is younger than the image is said to be.
    later = time.time() + 1000
    for path in (tree, *tree.rglob("*")):
        os.utime(path, (later, later), follow_symlinks=False)
    assemble(tree, second, card(tree))
    assert first.read_bytes() == second.read_bytes()
    (tree / "etc/hostname").write_text("other-moment!\n")
    assemble(tree, other, card(tree))
    assert first.read_bytes() != other.read_bytes()


def test_file_systems_are_sound(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "card"
    assemble(tree, image, card(tree))
    for number in (SYSTEM, DATA):
        said("e2fsck", "-f", "-n", f"{image}?offset={offset(image, number)}")
    part = tmp_path / "part"
    said("dd", f"if={image}", f"of={part}", "bs=1M", f"skip={offset(image, BOOT) // MB}", "count=64", "status=none")
    said("fsck.vfat", "-n", part)


def test_a_tree_that_does_not_say_what_its_disk_is_called(tree: Path) -> None:
    (tree / "etc/fstab").write_text("/dev/mmcblk0p2 / ext4 defaults 0 1\n")
    with pytest.raises(ValueError, match="PARTUUID"):
        Card.of(tree)
