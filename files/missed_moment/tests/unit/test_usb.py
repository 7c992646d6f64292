"""A USB device, as a false sysfs shows it, and block devices that are somebody's."""

import os
import shutil
import subprocess
import sys
import types
from contextlib import nullcontext
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("libudev is part of Linux", allow_module_level=True)

from missed_moment.errors import StickError, SystemDiskError
from missed_moment.export import usb
from missed_moment.export.admission import Interface
from missed_moment.export.claims import Claims
from missed_moment.export.pulled import Pulled
from missed_moment.export.usb import interfaces_at, is_claimed_exclusively

STORAGE, KEYBOARD = Interface("08", "06", "50"), Interface("03", "01", "01")


def device(directory: Path, *interfaces: Interface, number: str | None = None) -> Path:
    """Lay out what the kernel shows of a USB device."""
    path = directory / "1-1.2"
    path.mkdir()
    (path / "bNumInterfaces").write_text(f"{len(interfaces) if number is None else number:>2}\n")
    for index, interface in enumerate(interfaces):
        entry = path / f"1-1.2:1.{index}"
        entry.mkdir()
        (entry / "bInterfaceClass").write_text(f"{interface.kind}\n")
        (entry / "bInterfaceSubClass").write_text(f"{interface.subclass}\n")
        (entry / "bInterfaceProtocol").write_text(f"{interface.protocol}\n")
    return path


@pytest.mark.parametrize("interfaces", [(STORAGE,), (STORAGE, KEYBOARD), (STORAGE,) * 12])
def test_interfaces_are_the_kernels(interfaces: tuple[Interface, ...], tmp_path: Path) -> None:
    assert sorted(map(str, interfaces_at(device(tmp_path, *interfaces)) or ())) == sorted(map(str, interfaces))


@pytest.mark.parametrize(
    ("interfaces", "number"),
    [((), ""), ((), "0"), ((), "1"), ((STORAGE,), "2")],
    ids=["not configured", "no interfaces", "none yet", "one of two"],
)
def test_a_device_that_is_not_configured_yet_is_waited_for(
    interfaces: tuple[Interface, ...], number: str, tmp_path: Path
) -> None:
    assert interfaces_at(device(tmp_path, *interfaces, number=number)) is None


def test_a_device_that_has_gone_has_no_interfaces(tmp_path: Path) -> None:
    assert interfaces_at(tmp_path / "1-1") is None


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs loop devices")
def test_a_disk_that_is_mounted_anywhere_is_claimed(tmp_path: Path) -> None:
    """In another mount namespace than ours, where no list of mounts shows it."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run([shutil.which("mkfs.ext4") or "mkfs.ext4", "-q", "-F", image], check=True)
    attach = ["losetup", "--find", "--show", image]
    loop = Path(subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip())
    try:
        assert not is_claimed_exclusively(loop)
        script = f"mount {loop} {tmp_path} && echo mounted && read -r line"
        with subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as elsewhere:
            assert elsewhere.stdout is not None
            assert elsewhere.stdout.readline() == "mounted\n"
            assert str(loop) not in Path("/proc/self/mountinfo").read_text()
            assert is_claimed_exclusively(loop)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


def test_a_node_that_is_not_there_is_not_claimed(tmp_path: Path) -> None:
    assert not is_claimed_exclusively(tmp_path / "sda1")


class FalseDevice:
    """A block device as udev knows it; nothing of it is in use."""

    is_initialized = True
    device_number = os.makedev(8, 1)
    device_links = ("/dev/disk/by-uuid/2f6a",)

    def __init__(self, directory: Path, name: str, **properties: str) -> None:
        self.sys_path = str(directory)
        self.device_node = str(directory / name)  # a file, which nobody has claimed
        Path(self.device_node).touch()
        self.properties = properties
        self.attributes = types.SimpleNamespace(asint=lambda _: 1000)


@pytest.mark.parametrize("spec", ["UUID=2f6a", "/dev/disk/by-uuid/2f6a", "PTUUID=7c3f"])
@pytest.mark.parametrize("partitioned", [True, False])
def test_a_disk_in_fstab_is_left_alone_before_it_is_mounted(
    spec: str, partitioned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that Samba shares, with `nofail`, and beside it a partition that would do as a stick."""
    disk = FalseDevice(tmp_path, "sda", ID_PART_TABLE_UUID="7c3f")
    data = FalseDevice(tmp_path, "sda1", ID_FS_TYPE="ext4", ID_FS_UUID="2f6a", ID_PART_TABLE_UUID="7c3f")
    other = FalseDevice(tmp_path, "sda2", ID_FS_TYPE="vfat", ID_FS_UUID="1234-ABCD")
    other.device_links = ()
    if not partitioned:
        disk = data

    def list_devices(DEVTYPE: str, **_: object) -> list[FalseDevice]:  # noqa: N803 - udev's
        return [disk] if DEVTYPE == "disk" else [data, other] if partitioned else []

    monkeypatch.setattr(usb.pyudev, "Context", lambda: types.SimpleNamespace(list_devices=list_devices))
    monkeypatch.setattr(usb.UsbDevice, "_device", lambda _: None)
    monkeypatch.setattr(usb.UsbDevice, "_events", lambda *_: nullcontext(lambda _: False))
    with pytest.raises(SystemDiskError, match="in use by this system"):
        usb.UsbDevice(tmp_path, lambda: Claims(frozenset({spec})), Pulled()).volume(["vfat", "ext4"])
    chosen = usb.UsbDevice(tmp_path, Claims, Pulled()).volume(["vfat", "ext4"])
    assert chosen.filesystem in {"vfat", "ext4"}


@pytest.mark.parametrize("taken", [False, True])
def test_a_stick_whose_other_volume_came_into_use_is_not_switched_off(
    taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An automounter of the desktop takes the second partition while clips are copied to the first."""
    disk, first, second = (FalseDevice(tmp_path, name, ID_FS_TYPE="vfat") for name in ("sda", "sda1", "sda2"))
    for number, part in enumerate((disk, first, second)):
        part.device_number, part.device_links = os.makedev(8, number), ()

    def list_devices(DEVTYPE: str, **_: object) -> list[FalseDevice]:  # noqa: N803 - udev's
        return [disk] if DEVTYPE == "disk" else [first, second]

    monkeypatch.setattr(usb.pyudev, "Context", lambda: types.SimpleNamespace(list_devices=list_devices))
    monkeypatch.setattr(usb.UsbDevice, "_device", lambda _: None)
    monkeypatch.setattr(usb.UsbDevice, "_events", lambda *_: nullcontext(lambda _: False))
    monkeypatch.setattr(usb, "numbers_in_use", set)
    (tmp_path / "power").mkdir()
    stick = usb.UsbDevice(tmp_path, Claims, Pulled())
    stick.volume(["vfat"])
    if not taken:
        stick.switch_off()
        assert (tmp_path / "authorized").read_text() == "0"
        return
    monkeypatch.setattr(usb, "numbers_in_use", lambda: {(8, 2)})
    with pytest.raises(SystemDiskError, match="is not switched off: unmount it before you pull it"):
        stick.switch_off()
    assert not (tmp_path / "authorized").exists()
    assert not (tmp_path / "power" / "control").exists()


def test_a_stick_has_the_name_of_its_port(tmp_path: Path) -> None:
    """The exporter is given the device's number, which is new at each plug-in; the port is what an owner sees."""
    port = tmp_path / "devices" / "1-1.2"
    port.mkdir(parents=True)
    number = tmp_path / "189:6"
    number.symlink_to(port)
    stick = usb.UsbDevice(number, Claims, Pulled())
    assert stick.name == "1-1.2"
    assert not stick.gone
    number.unlink()
    assert stick.gone
    (port / "power").mkdir()
    with pytest.raises(StickError, match=r"1-1\.2 cannot be switched off"):
        stick.switch_off()
    assert not (port / "authorized").exists(), "another device may be at the port by now"


def test_interfaces_are_found_by_the_device_s_number(tmp_path: Path) -> None:
    """The kernel names them after the port, whatever link leads there."""
    number = tmp_path / "189:6"
    number.symlink_to(device(tmp_path, STORAGE))
    assert interfaces_at(number) == [STORAGE]
