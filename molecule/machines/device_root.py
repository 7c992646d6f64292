"""The device before any role ran: what a Pi that was just flashed would be, if it were a PC."""

from imaging.debian_root import DebianRoot

_ROLE_PACKAGES = (
    "dosfstools",
    "e2fsprogs",
    "exfatprogs",
    "ntfs-3g",
    "python3-alsaaudio",
    "python3-av",
    "python3-click",
    "python3-gpiozero",
    "python3-jinja2",
    "python3-numpy",
    "python3-packaging",
    "python3-pydantic",
    "python3-pyudev",
    "python3-rich",
    "python3-venv",
)

DEVICE = DebianRoot(
    name="device",
    suite="trixie",
    packages=(
        "ca-certificates",
        "dbus",
        "fdisk",
        "initramfs-tools",
        "libpam-systemd",
        "linux-image-amd64",
        "openssh-server",
        "python3",
        "python3-apt",
        "qemu-guest-agent",
        "sudo",
        "systemd-sysv",
        "systemd-timesyncd",
        "udev",
    ),
    setup=(
        ("mkdir", "/boot/firmware"),
        ("apt-get", "-qq", "update"),
        ("apt-get", "-qq", "install", "--download-only", "--no-install-recommends", *_ROLE_PACKAGES),
    ),
)
"""The packages that the roles will ask for are fetched, not installed."""
