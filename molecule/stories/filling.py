"""What the stories of sticks have in common."""

from machines.sticks import Found, Stick
from machines.usb import Port
from machines.virtual_device import VirtualDevice


def keep_a_moment(device: VirtualDevice) -> None:
    """Press, and wait until the moment is whole."""
    before = len(device.moments())
    device.press()
    device.wait_until(lambda: len(device.moments()) == before + 1, 60, "the moment is finished")


def plug_until_solid(device: VirtualDevice, stick: Stick) -> Port:
    """Plug a stick in, and wait until the LED says that it is safe to pull."""
    before = device.now()
    port = device.plug(stick.image)
    device.wait_for_led("solid", before, 180)
    return port


def kept_digests(device: VirtualDevice) -> set[str]:
    """Return the SHA-256 of each clip that is kept on the device. All of them decode."""
    device.run("missed-moment", "check")
    lines = device.run("sha256sum", *(moment["clip"] for moment in device.moments())).splitlines()
    return {line.split()[0] for line in lines}


def digests_on(device: VirtualDevice, stick: Stick) -> set[str]:
    """Return the SHA-256 of each clip that is on a stick; it is sound, and holds them, their sums and nothing else."""
    assert stick.is_clean(), "the file system has to be repaired"  # noqa: S101 - stories end in here
    found = stick.look() if stick.filesystem == "vfat" else _seen_by(device, stick)
    listed = {f"missed-moment/{name}": digest for digest, name in map(str.split, found.sums.splitlines())}
    clips = {name: digest for name, digest in found.digests.items() if name != "missed-moment/SHA256SUMS"}
    assert clips == listed  # noqa: S101
    return set(clips.values())


def _seen_by(device: VirtualDevice, stick: Stick) -> Found:
    """Read a stick with the device's own kernel, while its exporter looks away."""
    exporter = "missed-moment-export@.service"
    device.run("systemctl", "mask", "--runtime", exporter)
    port = device.plug(stick.image)
    device.wait_until(device.disks, 60, "the stick is seen")
    try:
        device.run("udevadm", "settle")
        device.run("mount", "-o", "ro", f"/dev/{device.disks()[0]}{stick.partition or ''}", "/mnt")
        lines = device.run("sh", "-c", "cd /mnt && find . -type f -exec sha256sum {} +").splitlines()
        sums = device.run("cat", "/mnt/missed-moment/SHA256SUMS")
        device.run("umount", "/mnt")
    finally:
        device.pull(port)
        device.run("systemctl", "unmask", "--runtime", exporter)
    return Found({name.removeprefix("./"): digest for digest, name in map(str.split, lines)}, sums)
