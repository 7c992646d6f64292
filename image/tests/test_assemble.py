import json
import os
import re
import time
import tomllib
from pathlib import Path

import pytest
from cards import BOOT, DATA, SYSTEM, card, in_ext4, is_sound, offset, partitions, said

from imaging import REPOSITORY
from imaging.assemble import MB, SECTOR, Card, assemble

SETTINGS = REPOSITORY / "docs/reference/settings.md"


def test_three_partitions(image: Path) -> None:
    table = partitions(image)
    assert [part["type"] for part in table] == ["c", "83", "83"]
    assert [int(part["start"]) % (4 * MB // SECTOR) for part in table[:1]] == [0]
    assert int(table[BOOT]["size"]) * SECTOR == 64 * MB
    assert int(table[DATA]["size"]) * SECTOR == 32 * MB
    assert json.loads(said("sfdisk", "--json", image))["partitiontable"]["id"] == "0x6d6d0001"


def test_each_has_what_is_its_own(image: Path, tree: Path) -> None:
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
    for mount_point, files in {"/boot/firmware": 1, "/data": 0}.items():
        assert in_ext4(image, SYSTEM, f"ls -p {mount_point}").count("\n") == 2 + 1 + files  # itself and its parent
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


def test_file_systems_are_sound(image: Path, tmp_path: Path) -> None:
    assert is_sound(image, tmp_path)


def test_a_tree_that_does_not_say_what_its_disk_is_called(tree: Path) -> None:
    (tree / "etc/fstab").write_text("/dev/mmcblk0p2 / ext4 defaults 0 1\n")
    with pytest.raises(ValueError, match="PARTUUID"):
        Card.of(tree)


def test_without_its_boot_partition_it_records_nothing(image: Path) -> None:
    """Nobody knows then what the owner has switched off; what is wrong is a line of the settings' problems."""
    settings = tomllib.loads(in_ext4(image, SYSTEM, "cat /boot/firmware/missed-moment.toml"))
    assert settings["sound"]["enabled"] is False
    assert isinstance(settings["button"]["switch_pin"], int)
    known = set(re.findall(r"^## \[(\w+)\]$", SETTINGS.read_text(), re.MULTILINE))
    (no_setting,) = set(settings) - known
    assert "/boot/firmware is not mounted" in no_setting


@pytest.mark.parametrize("card_gb", [8, 64, 512, 2000])
def test_data_grows_without_waste(image: Path, tmp_path: Path, card_gb: int) -> None:
    """On a card of any size, files get 98 % of /data, and a group's inode table is at most 512 KiB to be zeroed."""
    data = tmp_path / "data"
    start, size = offset(image, DATA), int(partitions(image)[DATA]["size"]) * SECTOR
    copy = ("dd", f"if={image}", f"of={data}", "bs=1M", f"skip={start // MB}", f"count={size // MB}", "status=none")
    said(*copy)
    reserved_before = about(data)["Reserved GDT blocks"]
    os.truncate(data, card_gb * 10**9)
    said("resize2fs", data)
    said("e2fsck", "-f", "-n", data)
    grown = about(data)
    total = grown["Block count"]
    assert total * grown["Block size"] > card_gb * 10**9 - 128 * MB
    assert grown["Free blocks"] - grown["Reserved block count"] > 0.98 * total
    assert grown["Inode blocks per group"] * grown["Block size"] <= 512 << 10
    assert "meta_bg" not in said("dumpe2fs", "-h", data)
    # What the kernel, growing it while it is mounted, takes from what was reserved: one block for each 64 groups.
    taken = -(-total // (grown["Blocks per group"] * 64)) - 1
    assert grown["Reserved GDT blocks"] == reserved_before - taken


def about(filesystem: Path) -> dict[str, int]:
    """Return the numbers in a superblock by their names."""
    lines = (line.partition(":") for line in said("dumpe2fs", "-h", filesystem).splitlines())
    return {name: int(value) for name, _, value in lines if value.strip().isdigit()}
