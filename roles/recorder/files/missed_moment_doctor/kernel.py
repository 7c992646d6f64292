"""Checks of the kernel and the hardware, on a device that has its own: no container."""

import re
from collections.abc import Iterable

from missed_moment_doctor.device import Device, must
from missed_moment_doctor.facets import Facet

_BOARD_S_DRIVERS = 1 << 10 | 1 << 12 | 1 << 13
"""Bits of /proc/sys/kernel/tainted: staging, out of tree, not signed (the kernel's tainted-kernels.rst)."""
_SYSCTLS = (
    ("core_pattern", "|/bin/false"),
    ("kexec_load_disabled", "1"),
    ("panic", "10"),
)
_DEDICATED_SYSCTLS = (
    ("sysrq", "0"),
    ("dmesg_restrict", "1"),
)
_AUTHORIZED = "/sys/module/usbcore/parameters/authorized_default"


def memory_is_locked(device: Device) -> None:
    """The recorder's memory cannot be swapped out, and nothing outside RAM is there to swap it to."""
    (locked,) = re.findall(r"^VmLck:\s+(\d+) kB", device.read(f"{device.recorder_process()}/status"), re.MULTILINE)
    must(int(locked) > 10_000, f"{locked} kB are locked")
    swaps = device.read("/proc/swaps").splitlines()[1:]
    must(all(line.startswith("/dev/zram") for line in swaps), swaps)


def freed_memory_is_zeroed(device: Device) -> None:
    """The kernel zeroes memory when it is freed."""
    must("init_on_free=1" in device.read("/proc/cmdline").split(), "the kernel was not booted with init_on_free=1")


def kernel_is_set(device: Device) -> None:
    """The kernel's parameters have the values of the roles' sysctl files."""
    _have(device, _SYSCTLS)


def kernel_is_closed(device: Device) -> None:
    """The kernel's parameters are those of a device that is nothing but a camera."""
    _have(device, _DEDICATED_SYSCTLS)


def _have(device: Device, parameters: Iterable[tuple[str, str]]) -> None:
    for name, wanted in parameters:
        found = device.read(f"/proc/sys/kernel/{name}").strip()
        must(found == wanted, f"kernel.{name} is {found}, not {wanted}")


def usb_is_admitted_by_rule(device: Device) -> None:
    """The kernel authorizes no USB device by itself."""
    must("usbcore.authorized_default=0" in device.read("/proc/cmdline").split(), "the kernel was not told so at boot")
    found = device.read(_AUTHORIZED).strip()
    must(found == "0", f"{_AUTHORIZED} is {found}")


def kernel_is_whole(device: Device) -> None:
    """Nothing has gone wrong in the kernel. Drivers that come from elsewhere, or are not finished, are the board's."""
    tainted = int(device.read("/proc/sys/kernel/tainted"))
    must(not tainted & ~_BOARD_S_DRIVERS, f"/proc/sys/kernel/tainted is {tainted}")


def watchdog_is_fed(device: Device) -> None:
    """Systemd keeps the hardware's watchdog from resetting the machine."""
    must(device.exists("/dev/watchdog0"), "there is no /dev/watchdog0")
    output = device.run("systemctl", "show", "--property=RuntimeWatchdogUSec,WatchdogDevice").split()
    must("RuntimeWatchdogUSec=1min" in output, output)
    must(any(line.startswith("WatchdogDevice=/dev/watchdog") for line in output), output)


def gpio_chips_have_their_group(device: Device) -> None:
    """Each GPIO chip is for root and the group gpio."""
    _are(device, device.find("/dev", "gpiochip*"), "root:gpio 660")


def dma_heaps_have_their_group(device: Device) -> None:
    """Each DMA heap, from which libcamera takes its memory, is for root and the group video."""
    _are(device, device.find("/dev/dma_heap", "*"), "root:video 660")


def _are(device: Device, nodes: list[str], wanted: str) -> None:
    must(bool(nodes), "there is none")
    found = device.run("stat", "--dereference", "-c", "%U:%G %a %n", *nodes).splitlines()
    others = [line for line in found if not line.startswith(f"{wanted} ")]
    must(not others, f"{others}, not {wanted}")


KERNEL = (
    (memory_is_locked, ()),
    (freed_memory_is_zeroed, ()),
    (kernel_is_set, ()),
    (kernel_is_closed, (Facet.DEDICATED,)),
    (usb_is_admitted_by_rule, (Facet.USB_ADMISSION,)),
    (kernel_is_whole, ()),
    (watchdog_is_fed, (Facet.WATCHDOG,)),
    (gpio_chips_have_their_group, (Facet.PINS,)),
    (dma_heaps_have_their_group, (Facet.DMA_HEAPS,)),
)
"""A container's kernel is somebody else's, and it has only as much memory to lock as it was given."""
