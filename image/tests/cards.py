"""Small cards' images, and ways to look into them."""

import json
import subprocess
from pathlib import Path

from imaging.assemble import MB, SECTOR, Card

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


def is_sound(image: Path, place: Path) -> bool:
    """Whether no file system of an image has anything to be repaired; `place` is for what is needed meanwhile."""
    part = place / "part"
    said("dd", f"if={image}", f"of={part}", "bs=1M", f"skip={offset(image, BOOT) // MB}", "count=64", "status=none")
    checks: list[tuple[str, ...]] = [("fsck.vfat", "-n", str(part))]
    checks += [("e2fsck", "-f", "-n", f"{image}?offset={offset(image, number)}") for number in (SYSTEM, DATA)]
    return not any(subprocess.run(check, check=False, capture_output=True).returncode for check in checks)
