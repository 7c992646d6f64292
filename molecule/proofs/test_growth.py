"""/data of a flashed card grows while it is mounted, to the largest card that there is."""

import subprocess
from pathlib import Path

import pytest

from imaging.assemble import BLOCK, FOR_GROWTH, LARGEST_CARD
from machines.sticks import MB, sparse
from machines.virtual_device import VirtualDevice

_AT = "/run/grown"


@pytest.mark.parametrize("card_gb", [64, 512])
def test_data_grows_online(fresh: VirtualDevice, tmp_path: Path, card_gb: int) -> None:
    """The kernel needs no meta_bg for that, and begins to zero inode tables of 512 KiB a group, not of 8 MiB."""
    card = sparse(tmp_path / "card", card_gb * 1000 * MB)
    extended = f"resize={LARGEST_CARD // BLOCK},assume_storage_prezeroed=1"
    make = ("mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), *FOR_GROWTH, "-E", extended, card, "128M")
    subprocess.run(make, check=True)
    fresh.run("systemctl", "mask", "--runtime", "missed-moment-export@.service")
    port = fresh.plug(card)
    fresh.wait_until(lambda: "sda" in fresh.run("ls", "/dev"), 60, "the card is there")
    fresh.run("mkdir", _AT)
    fresh.run("mount", "-o", "noatime", "/dev/sda", _AT)
    fresh.run("resize2fs", "/dev/sda", timeout_s=300)
    size, free = (int(word) for word in fresh.run("df", "-B1", "--output=size,avail", _AT).split()[-2:])
    assert size > 0.99 * card_gb * 1000 * MB
    assert free > 0.98 * card_gb * 1000 * MB
    about = fresh.run("dumpe2fs", "-h", "/dev/sda")
    print(size, free, fresh.usb.written(port), about)
    assert "meta_bg" not in about
    assert "Inode blocks per group:   128\n" in about
    fresh.run("umount", _AT)
    assert fresh.run("e2fsck", "-f", "-n", "/dev/sda", timeout_s=300)
