"""What may be done with what was plugged in. Pure: facts in, a decision or a reason out."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from missed_moment.errors import StickError, SystemDiskError

# Class, subclass and protocol as udev writes them (ID_USB_INTERFACES): mass storage, SCSI commands, over the
# bulk-only transport or UAS. A stick has nothing else; what has a keyboard as well is not one.
_STORAGE_ONLY = re.compile(r":(0806(50|62):)+")

# GPT's type and MBR's of the EFI system partition: there to start a computer, however large it is.
_NOT_FOR_FILES = {"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "0xef"}


@dataclass(frozen=True)
class Volume:
    """A partition, or a whole disk without any.

    `size` is in bytes. `filesystem` is as blkid calls what it found, whatever that is; `partition_type` is GPT's or
    MBR's, empty on a whole disk. `busy` means that this system uses it.
    """

    node: Path
    size: int
    filesystem: str
    partition_type: str = ""
    busy: bool = False

    def __str__(self) -> str:
        return f"{self.node.name} ({self.filesystem or 'nothing known'}, {self.size / 1e9:.1f} GB)"


def admit(interfaces: str) -> None:
    """Raise StickError where a USB device (its ID_USB_INTERFACES) is anything besides storage."""
    if not _STORAGE_ONLY.fullmatch(interfaces):
        raise StickError(
            f"this is more than a stick: its USB interfaces are {interfaces.strip(':')}; use a plain storage stick"
        )


def choose(volumes: Iterable[Volume], accepted: Collection[str]) -> Volume:
    """Return the largest volume with an accepted file system.

    Raises SystemDiskError where this system itself uses any of them, and StickError where none will do.
    """
    volumes = list(volumes)
    if any(volume.busy for volume in volumes):
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
