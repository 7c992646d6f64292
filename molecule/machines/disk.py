"""The disk of a virtual device: what the playbook makes of Debian, and the board's files; ready to boot.

In molecule/, as root, with requirements/ansible.txt installed: `python -m machines.disk` has it built.
"""

import dataclasses
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from imaging import PROJECT, REPOSITORY, chroot, host
from imaging.assemble import Card, assemble
from imaging.chroot import Chroot, CommandFailed
from imaging.debian_root import DebianRoot
from machines.device_root import DEVICE, EXISTING_PI, SENSOR_DEVICE
from machines.provisioning import APPLIANCE, APPLIANCE_EXPECTS, Broken, provision
from machines.qemu import PC, PC_ON_USB, Board
from machines.sticks import MB
from machines.workshop import BOARD, PRODUCTS, workshop

_PLAYED = (
    REPOSITORY / "ansible.cfg",
    REPOSITORY / "site.yml",
    REPOSITORY / "molecule" / "machines" / "provisioning.py",
    REPOSITORY / "roles",
    REPOSITORY / "image" / "imaging" / "assemble.py",
    APPLIANCE,
    PROJECT / "src",
    PROJECT / "pyproject.toml",
    PROJECT / "requirements" / "build.txt",
)
_SHIMS = PROJECT / "tests" / "camera" / "shims.py"
_BOOT_MB = 64
_HASH_DIGITS = 12


@dataclasses.dataclass(frozen=True)
class Disk:
    """An image that nobody writes to, and what boots it."""

    place: Path
    board: Board = PC
    format = "qcow2"

    @property
    def image(self) -> Path:
        """The disk, qcow2: the boot partition, the system, and what is kept, as on a card."""
        return self.place / "disk.qcow2"

    @property
    def starts_with(self) -> tuple[str | Path, ...]:
        """Which kernel is started, and told what a board's firmware adds and reads from the boot partition."""
        cmdline = (self.place / "cmdline.txt").read_text().strip()
        return ("-kernel", self.kernel, "-initrd", self.initrd, "-append", f"{self.board.cmdline} {cmdline}")

    @property
    def kernel(self) -> Path:
        """The kernel of the same Debian."""
        return self.place / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initial RAM disk, with what finds a virtual machine's disk and no more."""
        return self.place / "initrd"


@dataclasses.dataclass(frozen=True)
class _Recipe:
    """A kind of disk: what the playbook is told, how large the partition for data is, and how much is free behind.

    `expects` is what missed-moment-doctor must find.

    With `apt`, what apt knows of packages stays, so that the playbook can be played where there are no mirrors.
    `layers` are what is laid over the provisioned root, and where; `before` what lies on the root already.
    """

    name: str
    variables: tuple[Path, ...]
    expects: tuple[str, ...]
    data_mb: int
    free_mb: int
    apt: bool = False
    root: DebianRoot = DEVICE
    before: tuple[Path, ...] = (BOARD / "before",)
    layers: tuple[tuple[Path, str], ...] = ((BOARD / "after", "."),)
    board: Board = PC


_APPLIANCE = _Recipe("disk", (BOARD / "vars.yml", APPLIANCE), APPLIANCE_EXPECTS, data_mb=64, free_mb=448)
_OPEN = _Recipe(
    "open-disk",
    (BOARD / "vars.yml", BOARD / "open.yml"),
    (),
    data_mb=0,
    free_mb=1200,
    apt=True,
    root=EXISTING_PI,
    before=(BOARD / "before", BOARD / "existing"),
)
_ON_USB = dataclasses.replace(
    _OPEN,
    name="usb-disk",
    layers=(*_OPEN.layers, (BOARD / "usb", ".")),
    board=PC_ON_USB,
)
_SENSOR = _Recipe(
    "sensor-disk",
    (BOARD / "vars.yml", BOARD / "sensor.yml", APPLIANCE),
    APPLIANCE_EXPECTS,
    data_mb=64,
    free_mb=448,
    root=SENSOR_DEVICE,
    layers=(
        (BOARD / "after", "."),
        (BOARD / "sensor", "."),
        (_SHIMS, f"usr/local/lib/virtual-board/sensor/{_SHIMS.name}"),
    ),
)


def device_disk() -> Disk:
    """Return the device's disk as the repository is now, building it first if need be.

    That takes a minute or two, more where roots are to be built; whatever is built is proven. Disks of before are
    removed: nobody else may have a machine running from them. Raises as `provision` does.
    """
    return _disk(_APPLIANCE)


def open_disk() -> Disk:
    """Return the disk of somebody's Pi that is a camera, writable and with free space behind it; like `device_disk`."""
    return _disk(_OPEN)


def usb_disk() -> Disk:
    """Return the same disk for a Pi that starts from USB; like `device_disk`."""
    return _disk(_ON_USB)


def sensor_disk() -> Disk:
    """Return the disk of a device whose camera is libcamera's, through picamera2; else like `device_disk`."""
    return _disk(_SENSOR)


def _disk(recipe: _Recipe) -> Disk:
    root = recipe.root.build()
    disk = Disk(root.parent / f"{recipe.name}-{_fingerprint(recipe)}", recipe.board)
    with (root.parent / f"{recipe.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not disk.place.is_dir():
            for former in root.parent.glob(f"{recipe.name}-*"):
                shutil.rmtree(former)
            _build(root, disk, recipe)
    return disk


def _build(root: Path, disk: Disk, recipe: _Recipe) -> None:
    print(f"building a disk: {disk.place}", flush=True)
    host.install("qemu-img", "qemu-utils")
    host.install("sfdisk", "fdisk")
    host.install("mkfs.vfat", "dosfstools")
    host.install("mcopy", "mtools")
    system = DEVICE.build()  # whose kernel it is
    (kernel,) = (path.name for path in (system / "usr/lib/modules").iterdir())
    with tempfile.TemporaryDirectory(prefix=f"{recipe.name}-", dir=root.parent) as scratch:
        tree, made, raw = Path(scratch) / "tree", Disk(Path(scratch) / "made"), Path(scratch) / "disk.raw"
        made.place.mkdir()
        subprocess.run(["cp", "-a", "--no-target-directory", root, tree], check=True)
        device = Chroot(tree)
        for layer in recipe.before:
            _lay_over(tree, layer)
        provision(device, recipe.variables, recipe.expects)
        _lay_over(tree, workshop(kernel).build() / PRODUCTS)
        if root != system:
            _lay_over(tree / "usr/lib/modules" / kernel, system / "usr/lib/modules" / kernel)
        for layer, where in recipe.layers:
            _lay_over(tree / where, layer)
        device.run("depmod", kernel)
        device.run("mkinitramfs", "-o", "/boot/initrd", kernel)
        (tree / "boot" / "initrd").rename(made.initrd)
        shutil.copy(system / "boot" / f"vmlinuz-{kernel}", made.kernel)
        shutil.copy(tree / "boot/firmware/cmdline.txt", made.place)
        for stamp in (tree / "etc/.updated", tree / "var/.updated"):
            stamp.touch()  # or the first start would rebuild what is fresh
        if not recipe.apt:
            for scrap in (tree / "var/cache/apt", tree / "var/lib/apt/lists"):
                shutil.rmtree(scrap)
        # As of now: a file that is made older than what Python compiled of it would be compiled at each start.
        card = Card.of(tree, boot_mb=_BOOT_MB, data_mb=recipe.data_mb)
        assemble(tree, raw, dataclasses.replace(card, epoch=int(time.time())))
        os.truncate(raw, raw.stat().st_size + recipe.free_mb * MB)
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, made.image], check=True)
        made.place.rename(disk.place)


def _lay_over(tree: Path, layer: Path) -> None:
    subprocess.run(["cp", "-a", "--no-target-directory", layer, tree], check=True)


def _fingerprint(recipe: _Recipe) -> str:
    hashed = hashlib.sha256(f"{DEVICE.path.name} {recipe.root.path.name} {recipe.name}".encode())
    for file in _inputs():
        hashed.update(f"{file.relative_to(REPOSITORY)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return hashed.hexdigest()[:_HASH_DIGITS]


def _inputs() -> Iterator[Path]:
    """Yield every file that goes into the disk, in a fixed order."""
    for source in (*_PLAYED, BOARD, _SHIMS, Path(__file__), PROJECT / "requirements" / "board.txt"):
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def missing() -> str | None:
    """Say why no disk can be built here; None where it can."""
    return DEVICE.missing() or chroot.missing()


def main() -> None:
    """Have the disk built. Exits where that fails, or this machine cannot."""
    if why := missing():
        sys.exit(f"no disk is built: {why}")
    try:
        print(f"{device_disk().place}: made of what is here now, and proven")
    except (Broken, CommandFailed) as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
