"""The device before any role ran: what a Pi that was just flashed would be, if it were a PC."""

from imaging import PROJECT
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

_SYSTEM_PACKAGES = (
    "ca-certificates",
    "dbus",
    "fdisk",
    "initramfs-tools",
    "libpam-systemd",
    "openssh-server",
    "python3",
    "python3-apt",
    "qemu-guest-agent",
    "sudo",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
)
_SETUP = (
    ("mkdir", "/boot/firmware"),
    ("apt-get", "-qq", "update"),
    ("apt-get", "-qq", "install", "--download-only", "--no-install-recommends", *_ROLE_PACKAGES),
)

DEVICE = DebianRoot(
    name="device",
    suite="trixie",
    packages=(*_SYSTEM_PACKAGES, "linux-image-amd64"),
    setup=_SETUP,
)
"""The packages that the roles will ask for are fetched, not installed."""

PASSWORD = "raspberry"  # noqa: S105 - of a test machine
"""Of the first user of `EXISTING_PI`."""

EXISTING_PI = DebianRoot(
    name="existing-pi",
    suite="trixie",
    packages=(*DEVICE.packages, "cloud-init", "netplan.io", "network-manager", "samba"),
    setup=(
        *_SETUP,
        ("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "sudo", "pi"),
        ("sh", "-c", f"echo pi:{PASSWORD} | chpasswd"),
    ),
)
"""Somebody's Pi as it is sold and set up in late 2026: its first user's sudo asks for a password.

pi-gen installs cloud-init (stage2/04-cloud-init) and NetworkManager with netplan; the share is its owner's.
"""

_PICAMERA2 = PROJECT / "requirements" / "picamera2.txt"
_PICAMERA2_ARCHIVE = PROJECT / "requirements" / "picamera2-archive.txt"
ARCHIVE_VERSION = _PICAMERA2_ARCHIVE.read_text().partition("picamera2==")[2].split()[0]
ARCHIVE_PLACE = "/opt/picamera2-archive"
"""Where the sensor's device has the picamera2 of the board's archive; put it on Python's path to use it."""
_VIRTUAL_CAMERA = PROJECT / "tests" / "camera" / "virtual.yaml"
_PIP = ("python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
_LOCKED = ("--no-deps", "--require-hashes", "--requirement")

SENSOR_DEVICE = DebianRoot(
    name="sensor-device",
    suite="sid",
    packages=(
        *_SYSTEM_PACKAGES,
        "libcamera-ipa",
        "python3-libcamera",
        "python3-piexif",
        "python3-pil",
        "python3-pip",
        "python3-prctl",
    ),
    inputs=(_PICAMERA2, _PICAMERA2_ARCHIVE, _VIRTUAL_CAMERA),
    setup=(
        *_SETUP,
        (*_PIP, "--break-system-packages", *_LOCKED, _PICAMERA2.name),
        (*_PIP, "--target", ARCHIVE_PLACE, *_LOCKED, _PICAMERA2_ARCHIVE.name),
        # It stands for what Raspberry Pi OS is made of.
        ("sh", "-euc", "echo 13.0 >/etc/debian_version; echo 'VERSION_ID=\"13\"' >>/usr/lib/os-release"),
        ("install", "-D", "-m", "0644", "-t", "/usr/share/libcamera/pipeline/virtual", _VIRTUAL_CAMERA.name),
    ),
)
"""The same with picamera2, which the Raspberry Pi's archive would bring, and libcamera's virtual camera for a sensor.

Debian sid, because only its libcamera has a virtual camera that works (0.7 or newer). It is booted with the kernel of
`DEVICE`.
"""
