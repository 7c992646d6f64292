"""What the stories of sticks have in common."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from machines.sticks import Stick
from machines.usb import Port
from machines.virtual_device import VirtualDevice

FOLDER = "missed-moment"
BESIDE = ("SHA256SUMS", "health.txt", "index.html", "moments.jsonl")


def keep_a_moment(device: VirtualDevice) -> None:
    """Press, and wait until the moment is whole."""
    before = len(device.moments())
    device.press()
    device.wait_until(lambda: len(device.moments()) == before + 1, 60, "the moment is finished")


def plug_until_solid(device: VirtualDevice, stick: Stick) -> Port:
    """Plug a stick in, and wait until the LED says that it is safe to pull."""
    before = device.now()
    # Where the host is busy, a short light may be a long one: the LED is asked when the stick was let go of.
    port = plug_until_served(device, stick)
    device.wait_for_led("solid", before, 60)
    return port


def plug_until_served(device: VirtualDevice, stick: Stick) -> Port:
    """Plug a stick in, and wait until the exporter has written to it and switched it off."""
    port = device.plug(stick.image)
    device.wait_until(lambda: device.usb.written(port) and not device.disks(), 180, "the stick is served")
    return port


def kept_digests(device: VirtualDevice) -> set[str]:
    """Return the SHA-256 of each clip that is kept on the device."""
    lines = device.run("sha256sum", *(moment["clip"] for moment in device.moments())).splitlines()
    return {line.split()[0] for line in lines}


def digests_on(device: VirtualDevice, stick: Stick) -> set[str]:
    """Return the SHA-256 of each clip on a stick; it is sound, and holds clips, what belongs to them, nothing else."""
    assert stick.is_clean(), "the file system has to be repaired"  # noqa: S101 - stories end in here
    found, sums = read(stick) if stick.filesystem == "vfat" else _seen_by(device, stick)
    listed = {f"{FOLDER}/{name.removeprefix('*')}": digest for digest, name in map(str.split, sums.splitlines())}
    clips = {name: digest for name, digest in found.items() if name.endswith(".mp4")}
    assert clips == listed, (clips, listed)  # noqa: S101
    pictures = {name.removesuffix(".mp4") + ".jpg" for name in clips}
    assert found.keys() - clips.keys() - pictures == {f"{FOLDER}/{name}" for name in BESIDE}, found  # noqa: S101
    return set(clips.values())


def read(stick: Stick) -> tuple[dict[str, str], str]:
    """Return the SHA-256 of each file on a vfat stick, and the list of sums; each clip decodes."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        stick.copy_out(place)
        subprocess.run([sys.executable, "-m", "missed_moment", "check", *place.rglob("*.mp4")], check=True)
        files = [path for path in place.rglob("*") if path.is_file()]
        digests = {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        return digests, (place / FOLDER / "SHA256SUMS").read_text()


def _seen_by(device: VirtualDevice, stick: Stick) -> tuple[dict[str, str], str]:
    """Read a stick with the device's own kernel, while its exporter looks away: not every host knows exfat."""
    exporter = "missed-moment-export@.service"
    device.run("systemctl", "mask", "--runtime", exporter)
    port = device.plug(stick.image)
    device.wait_until(device.disks, 60, "the stick is seen")
    try:
        device.run("udevadm", "settle")
        device.run("mount", "-o", "ro", f"/dev/{device.disks()[0]}{stick.partition or ''}", "/mnt")
        lines = device.run("sh", "-c", "cd /mnt && find . -type f -exec sha256sum {} +").splitlines()
        sums = device.run("cat", f"/mnt/{FOLDER}/SHA256SUMS")
        device.run("umount", "/mnt")
    finally:
        device.pull(port)
        device.run("systemctl", "unmask", "--runtime", exporter)
    return {name.removeprefix("./"): digest for digest, name in map(str.split, lines)}, sums
