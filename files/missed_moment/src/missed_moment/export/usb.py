"""A USB device, as udev and sysfs know it. Linux only."""

import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pyudev

from missed_moment.errors import StickError
from missed_moment.export.admission import Volume, choose
from missed_moment.export.mounts import numbers_in_use

_SECTOR = 512  # what sysfs counts in, whatever the device's own sectors are
_DISKS_S = 30.0
"""Disks that spin, and readers with several slots, take a while until they say what they hold."""
_SETTLE_S = 5.0
"""What has a medium may take so long until udev knows all that is on it."""


class UsbDevice:
    """The device at a directory in sysfs, from plugged in to switched off."""

    def __init__(self, path: Path) -> None:
        """Set up; nothing is looked at yet."""
        self._path = path
        self._context = pyudev.Context()

    @property
    def name(self) -> str:
        """Bus and ports, as in "1-1.2": what tells two sticks apart."""
        return self._path.name

    @property
    def interfaces(self) -> str:
        """What it is, as udev writes it (ID_USB_INTERFACES). Raises StickError where it has gone."""
        return str(self._device().properties.get("ID_USB_INTERFACES", ""))

    def volume(self, accepted: Collection[str]) -> Volume:
        """Wait until a volume can be chosen from the device's disks (see `choose`, whose errors these are)."""
        began = time.monotonic()
        monitor = pyudev.Monitor.from_netlink(self._context)
        monitor.filter_by("block")
        monitor.start()  # before looking, or what comes in between would be missed
        while True:
            volumes = list(self._volumes())
            try:
                return choose(volumes, accepted)
            except StickError:
                limit_s = _SETTLE_S if any(volume.size for volume in volumes) else _DISKS_S
                left_s = began + limit_s - time.monotonic()
                if left_s <= 0:
                    raise
                monitor.poll(left_s)

    def switch_off(self) -> None:
        """Take away the device's configuration, as for one that is not trusted, and let its port sleep.

        Its disks are gone from the system at once, after the kernel had them write what they held back. It is
        not `remove`d: then nobody could see when it is pulled out. Raises StickError where that is not allowed.
        """
        try:
            (self._path / "power" / "control").write_text("auto")
            (self._path / "authorized").write_text("0")
        except OSError as error:
            raise StickError(f"{self.name} cannot be switched off ({error}): wait ten seconds, then pull it") from error

    def _device(self) -> pyudev.Device:
        try:
            return pyudev.Devices.from_sys_path(self._context, str(self._path))
        except pyudev.DeviceNotFoundError as error:
            raise StickError(f"{self.name} is not there: it was pulled out already") from error

    def _volumes(self) -> Iterator[Volume]:
        """List what can hold a file system. A disk counts once udev has seen all its partitions."""
        in_use = numbers_in_use()
        for disk in self._context.list_devices(subsystem="block", DEVTYPE="disk", parent=self._device()):
            partitions = list(self._context.list_devices(subsystem="block", DEVTYPE="partition", parent=disk))
            parts = partitions or [disk]
            if all(part.is_initialized for part in (disk, *parts)):
                yield from (_volume(part, in_use) for part in parts)


def _volume(device: pyudev.Device, in_use: Collection[tuple[int, int]]) -> Volume:
    number = (os.major(device.device_number), os.minor(device.device_number))
    holders = Path(device.sys_path) / "holders"
    return Volume(
        node=Path(device.device_node),
        size=device.attributes.asint("size") * _SECTOR,
        filesystem=device.properties.get("ID_FS_TYPE", ""),
        partition_type=device.properties.get("ID_PART_ENTRY_TYPE", ""),
        busy=number in in_use or any(holders.glob("*")),
    )
