"""All flashed cards have the same PARTUUIDs; an old one is plugged in, in a USB reader."""

import subprocess
from pathlib import Path

import pytest

from imaging import REPOSITORY
from machines.sticks import MB, sparse
from machines.virtual_device import VirtualDevice

RULE = REPOSITORY / "image" / "files" / "61-missed-moment-other-cards.rules"
_RULES = "/run/udev/rules.d"
_NAMES = "/dev/disk/by-partuuid/6d6d0001-0"


@pytest.fixture
def old_card(tmp_path: Path) -> Path:
    """A card with the device's own id, and three partitions."""
    card = sparse(tmp_path / "old", 64 * MB)
    table = "label: dos\nlabel-id: 0x6d6d0001\nsize=16M, type=c\nsize=16M, type=83\ntype=83\n"
    subprocess.run(["sfdisk", "--quiet", card], check=True, input=table, text=True)
    return card


def named(device: VirtualDevice) -> list[str]:
    """Return which partitions the three names lead to."""
    return device.run("realpath", *(f"{_NAMES}{number}" for number in (1, 2, 3))).split()


def look_again(device: VirtualDevice) -> None:
    device.run("udevadm", "control", "--reload")
    device.run("udevadm", "trigger", "--settle", "--action=change", "--subsystem-match=block")


def test_an_old_card_is_not_this_one(fresh: VirtualDevice, old_card: Path) -> None:
    """The names stay with the disk that the system runs from; without the rule, they go to what came last."""
    fresh.run("systemctl", "mask", "--runtime", "missed-moment-export@.service")  # it would switch the reader off
    own = named(fresh)
    assert not [path for path in own if path.startswith("/dev/sd")]
    fresh.run("mkdir", "--parents", _RULES)
    fresh.run("sh", "-c", f'printf %s "$1" >{_RULES}/{RULE.name}', "sh", RULE.read_text())
    look_again(fresh)
    assert named(fresh) == own
    fresh.plug(old_card)
    fresh.wait_until(lambda: "sda3" in fresh.run("ls", "/dev"), 60, "the old card is there")
    look_again(fresh)
    assert named(fresh) == own
    fresh.run("rm", f"{_RULES}/{RULE.name}")
    look_again(fresh)
    assert named(fresh) == ["/dev/sda1", "/dev/sda2", "/dev/sda3"]
