"""The facets in which devices differ."""

from enum import StrEnum


class Facet(StrEnum):
    """A property of some devices. A check that needs it runs if it is expected, and fails if it is missing."""

    READ_ONLY = "read-only"
    """`readonly_root_enabled`: / and /boot/firmware are read-only, /data is a partition."""
    NO_NETWORK = "no-network"
    """`privacy_network: false`: only the owner turns the network on."""
    NO_CONSOLES = "no-consoles"
    """`hardening_consoles: false`: nobody logs in with a keyboard or a serial cable."""
    USB_ADMISSION = "usb-admission"
    """`hardening_usb_admission`: only some USB devices are authorized."""
    DEDICATED = "dedicated"
    """`hardening_dedicated`: it is a camera and nothing else."""
    NETWORK_ON = "network-on"
    """The owner has turned the network on, in the settings."""
    WATCHDOG = "watchdog"
    """There is a hardware watchdog."""
    RASPBERRY_PI = "raspberry-pi"
    """The device tree names one: it has pins, DMA heaps, a watchdog, picamera2 and lgpio."""
    PINS = "pins"
    """There is a GPIO chip."""
    DMA_HEAPS = "dma-heaps"
    """There are DMA heaps."""
    BOOTED = "booted"
    """systemd runs: no chroot."""
    OWN_KERNEL = "own-kernel"
    """The kernel is the device's: no container."""


PLAYED = frozenset({Facet.READ_ONLY, Facet.NO_NETWORK, Facet.NO_CONSOLES, Facet.USB_ADMISSION, Facet.DEDICATED})
"""The facets that the playbook's variables ask for."""
