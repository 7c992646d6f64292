"""A USB device, as udev and sysfs know it. Linux only."""

import errno
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyudev

from missed_moment.errors import StickError, SystemDiskError, reason
from missed_moment.export.admission import Interface, Volume, choose
from missed_moment.export.claims import Claims
from missed_moment.export.mounts import numbers_in_use
from missed_moment.export.pulled import Pulled, seconds_left

_SECTOR = 512  # what sysfs counts in, whatever the device's own sectors are
_DISKS_S = 30.0
"""Disks that spin, and readers with several slots, take a while until they say what they hold."""
_SETTLE_S = 5.0
"""What has a medium may take so long until udev knows all that is on it."""
_ATTRIBUTES = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")


class UsbDevice:
    """The device at a directory in sysfs, from plugged in to switched off."""

    def __init__(self, path: Path, claims: Callable[[], Claims], pulled: Pulled) -> None:
        """Set up; nothing is looked at yet. Disks that the claims hold are not used.

        `path` may be a link of /sys/dev/char, which is gone with the device. It is not resolved for what is written: by
        then another device may be at the port.
        """
        self._path = path
        self.name = path.resolve().name
        """Bus and ports, as in "1-1.2": what distinguishes two sticks."""
        self._claims = claims
        self._pulled = pulled
        self._context = pyudev.Context()

    def interfaces(self) -> list[Interface]:
        """Wait until the kernel has configured the device, and return its interfaces, as the kernel sees them.

        udev's own list (ID_USB_INTERFACES) is shorter: its parser ends where the kernel's goes on, and its text is cut
        at 512 bytes. Raises StickError if the device has gone.
        """
        deadline = time.monotonic() + _SETTLE_S
        with self._events("usb") as wait:
            while True:
                interfaces = interfaces_at(self._path)
                if interfaces is not None:
                    return interfaces
                if not wait(seconds_left(deadline)):
                    self._device()
                    return []

    def volume(self, accepted: Collection[str]) -> Volume:
        """Wait until a volume can be chosen from the device's disks (see `choose`, whose errors these are)."""
        began = time.monotonic()
        with self._events("block") as wait:
            while True:
                volumes = list(self._volumes())
                try:
                    return choose(volumes, accepted)
                except StickError:
                    limit_s = _SETTLE_S if any(volume.size for volume in volumes) else _DISKS_S
                    if not wait(seconds_left(began + limit_s)):
                        raise

    def switch_off(self) -> None:
        """Take away the device's configuration, as for one that is not trusted, and let its port sleep.

        Its disks are gone from the system at once, after the kernel had them write what they held back. It is
        not `remove`d: then nobody could see when it is pulled out. Raises StickError where that is not allowed, and
        SystemDiskError if something uses one of its volumes by now: an automounter may have taken another partition.
        """
        with suppress(StickError):  # it has gone: then there is nothing to leave alone
            if any(volume.busy for volume in self._volumes()):
                raise SystemDiskError(
                    f"{self.name} came into use by this system while it was copied to, and is not switched off: "
                    "unmount it before you pull it"
                )
        try:
            (self._path / "power" / "control").write_text("auto")
            (self._path / "authorized").write_text("0")
        except OSError as error:
            raise StickError(
                f"{self.name} cannot be switched off ({reason(error)}): wait ten seconds, then pull it"
            ) from error

    @property
    def gone(self) -> bool:
        """Whether the kernel has lost the device, as it does when somebody pulls it."""
        return not self._path.exists()

    @contextmanager
    def _events(self, subsystem: str) -> Iterator[Callable[[float], bool]]:
        """Collect udev's events of a subsystem; begun before the first look, so that none is missed in between.

        The function given waits for one, for so many seconds at most; False if none came.
        """
        monitor = pyudev.Monitor.from_netlink(self._context)
        monitor.filter_by(subsystem)
        monitor.start()

        def wait(limit_s: float) -> bool:
            if not self._pulled.wait_for_any([monitor.fileno()], limit_s):
                return False
            monitor.poll(0)
            return True

        yield wait

    def _device(self) -> pyudev.Device:
        try:
            return pyudev.Devices.from_sys_path(self._context, str(self._path))
        except pyudev.DeviceNotFoundError as error:
            raise StickError(f"{self.name} is not there: it was pulled out already") from error

    def _volumes(self) -> Iterator[Volume]:
        """List what can hold a file system. A disk counts once udev has seen all its partitions."""
        in_use, claims = numbers_in_use(), self._claims()
        for disk in self._context.list_devices(subsystem="block", DEVTYPE="disk", parent=self._device()):
            partitions = list(self._context.list_devices(subsystem="block", DEVTYPE="partition", parent=disk))
            parts = partitions or [disk]
            if all(part.is_initialized for part in (disk, *parts)):
                whole = _is_busy(disk, in_use, claims)
                yield from (_volume(part, whole or _is_busy(part, in_use, claims)) for part in parts)


def interfaces_at(path: Path) -> list[Interface] | None:
    """Return the interfaces of the USB device at a directory in sysfs; None if the kernel has not listed all yet."""
    try:
        expected = int((path / "bNumInterfaces").read_text())
    except (OSError, ValueError):  # empty while the device has no configuration
        return None
    try:
        found = [
            Interface(*((directory / attribute).read_text().strip() for attribute in _ATTRIBUTES))
            for directory in sorted(path.glob(f"{path.resolve().name}:*"))
        ]
    except OSError:
        return None
    return found if len(found) >= max(1, expected) else None


def is_claimed_exclusively(node: Path) -> bool:
    """Tell whether the kernel has given a block device to somebody alone: mounted (anywhere), swap, LVM, RAID, ZFS.

    Unlike the list of mounts, this knows of file systems of several devices (btrfs), and of other mount namespaces.
    """
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _is_busy(device: pyudev.Device, in_use: Collection[tuple[int, int]], claims: Claims) -> bool:
    number = (os.major(device.device_number), os.minor(device.device_number))
    return (
        number in in_use
        or any((Path(device.sys_path) / "holders").glob("*"))
        or claims.hold(device.properties, [device.device_node, *device.device_links])
        or is_claimed_exclusively(Path(device.device_node))
    )


def _volume(device: pyudev.Device, busy: bool) -> Volume:
    return Volume(
        node=Path(device.device_node),
        size=device.attributes.asint("size") * _SECTOR,
        filesystem=device.properties.get("ID_FS_TYPE", ""),
        partition_type=device.properties.get("ID_PART_ENTRY_TYPE", ""),
        busy=busy,
    )
