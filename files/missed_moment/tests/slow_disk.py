"""A real disk that is slow, or stands still: ext4 on a loop device, throttled by the kernel's block layer.

Needs root, loop devices and the blkio controller (cgroup v1) or io controller (v2).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZE_MB = 1024
_V1 = Path("/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device")


def missing() -> str | None:
    """Say why this machine has no slow disk; None where it has one."""
    if os.geteuid() != 0:
        return "mounting a disk to slow it down takes root"
    if not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None:
        return "there are no loop devices here"
    if not _V1.exists():
        return "the kernel's blkio throttle (cgroup v1) is not mounted here"
    return None


class SlowDisk:
    """A mounted file system whose device can be slowed down and stopped."""

    def __init__(self, mount: Path, device: str) -> None:
        self.mount = mount
        self._device = device

    def slow_down(self, bytes_a_second: int) -> None:
        """Write no faster than this; 0 lifts the limit. Reading is not slowed down."""
        _V1.write_text(f"{self._device} {bytes_a_second}")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let nothing be written for the length of a block: whoever tries, waits."""
        subprocess.run(["fsfreeze", "--freeze", self.mount], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", self.mount], check=True)


@contextmanager
def slow_disk(directory: Path) -> Iterator[SlowDisk]:
    """Make a disk in `directory`, mount it for the length of a block, and remove it."""
    image, mount = directory / "disk.img", directory / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(_SIZE_MB * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        loop = subprocess.run(
            ["findmnt", "--noheadings", "--output", "MAJ:MIN", mount], check=True, capture_output=True, text=True
        )
        disk = SlowDisk(mount, loop.stdout.strip())
        try:
            yield disk
        finally:
            disk.slow_down(0)
    finally:
        subprocess.run(["umount", mount], check=True)
        image.unlink()
