"""What may be done with what was plugged in. Pure: facts in, a decision or a reason out."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from missed_moment.errors import StickError, SystemDiskError

_STORAGE = "08"
_SUBCLASSES = {"02": "ATAPI", "05": "SFF-8070i", "06": "SCSI"}
"""Command sets of mass storage that the kernel's driver handles as SCSI (USB Mass Storage Class, "Subclass Codes")."""
_PROTOCOLS = {"50": "bulk-only transport", "62": "UAS"}

_MEMBERS = {"LVM2_member", "linux_raid_member", "isw_raid_member", "ddf_raid_member", "zfs_member", "bcache", "drbd"}
"""Parts of something larger, in use or not: no stick has one."""

# GPT's type and MBR's of the EFI system partition: there to start a computer, however large it is.
_NOT_FOR_FILES = {"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef"}


@dataclass(frozen=True)
class Volume:
    """A partition, or a whole disk without any.

    `size` is in bytes. `filesystem` is as blkid calls what it found, whatever that is; `partition_type` is GPT's or
    MBR's, empty on a whole disk. `busy` means that this system uses it, or that its owner has other plans for it.
    """

    node: Path
    size: int
    filesystem: str
    partition_type: str = ""
    busy: bool = False

    def __str__(self) -> str:
        return f"{self.node.name} ({self.filesystem or 'nothing known'}, {self.size / 1e9:.1f} GB)"


@dataclass(frozen=True)
class Interface:
    """An interface of a USB device: class, subclass and protocol, two hexadecimal digits each."""

    kind: str
    subclass: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.kind}{self.subclass}{self.protocol}"


def admit(interfaces: Collection[Interface]) -> None:
    """Raise StickError if a USB device is anything besides storage."""
    if not interfaces or not all(_is_storage(interface) for interface in interfaces):
        seen = ":".join(map(str, interfaces)) or "none"
        raise StickError(f"this is more than a stick: its USB interfaces are {seen}; use a plain storage stick")


def _is_storage(interface: Interface) -> bool:
    return interface.kind == _STORAGE and interface.subclass in _SUBCLASSES and interface.protocol in _PROTOCOLS


def choose(volumes: Iterable[Volume], accepted: Collection[str]) -> Volume:
    """Return the largest volume with an accepted file system.

    Raises SystemDiskError where this system itself uses any of them, and StickError where none will do.
    """
    volumes = list(volumes)
    if any(volume.busy or volume.filesystem in _MEMBERS for volume in volumes):
        raise SystemDiskError(f"{', '.join(map(str, volumes))}: in use by this system, and left alone")
    good = [
        volume
        for volume in volumes
        if volume.filesystem in accepted and volume.partition_type.lower() not in _NOT_FOR_FILES
    ]
    if not good:
        raise StickError(
            f"nothing on this stick can be used: {', '.join(map(str, volumes)) or 'it holds no medium'}; "
            f"format it as {' or '.join(accepted)}"
        )
    return max(good, key=lambda volume: volume.size)
