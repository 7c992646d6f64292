"""Which interfaces of a USB device are authorized, in a directory that behaves like the device's in sysfs."""

import os
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROLE = Path(__file__).parents[4] / "roles" / "usb_export" / "files"
SCRIPT = ROLE / "admit-usb-device"
LIMIT_S = 20


@dataclass
class FakeDevice:
    """A device with interfaces of these classes, on a bus whose root hub is the directory `bus`.

    Attributes that the kernel acts on are FIFOs: the script waits at each until a thread, as the kernel, has acted.
    Interfaces to be probed are written to the script's output.
    """

    bus: Path
    classes: Sequence[str]
    logs_writes: bool = False
    port: str = "1-1.2"
    switched_off: bool = False

    def __post_init__(self) -> None:
        self.path = self.bus / "1-1" / self.port
        self.path.mkdir(parents=True)
        (self.bus / "interface_authorized_default").write_text("1\n")
        os.mkfifo(self.path / "authorized")
        os.mkfifo(self.path / "idVendor")
        (self.path / "idProduct").write_text("0a67\n")
        # Beside a hub's own interfaces lie the devices that are plugged into it.
        (self.path / f"{self.port}.1").mkdir()
        (self.path / f"{self.port}.1" / "bInterfaceClass").write_text("08\n")

    def run(self, scratch: Path) -> tuple[list[str], str]:
        """Run the script on it; returns what was written to drivers_probe, and what it reported."""
        report = scratch / "report"
        logger = scratch / "logger"
        logger.write_text(f'#!/bin/sh\nfor last; do :; done; echo "$last" >>{report}\n')
        logger.chmod(0o755)
        kernel = threading.Thread(target=self._authorize, daemon=True)
        kernel.start()
        ran = subprocess.run(
            ["sh", SCRIPT, self.path, "/dev/stdout"],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=LIMIT_S,
            env={"PATH": f"{scratch}:{os.environ['PATH']}"},
        )
        if not any(self.admitted):
            kernel.join(LIMIT_S)
        return ran.stdout.splitlines(), report.read_text().strip() if report.exists() else ""

    @property
    def admitted(self) -> list[bool]:
        """Whether each interface is authorized."""
        paths = [self._interface(number) / "authorized" for number in range(len(self.classes))]
        return [path.is_symlink() or path.read_text() == "1\n" for path in paths]

    def _interface(self, number: int) -> Path:
        return self.path / f"{self.port}:1.{number}"

    def _authorize(self) -> None:
        """Parse the interfaces, as the kernel does as soon as the device is authorized."""
        if (self.path / "authorized").read_text() != "1\n":
            return
        authorized = (self.bus / "interface_authorized_default").read_text()
        for number, kind in enumerate(self.classes):
            interface = self._interface(number)
            interface.mkdir()
            (interface / "bInterfaceClass").write_text(f"{kind}\n")
            if self.logs_writes:
                (interface / "authorized").symlink_to("/dev/stdout")
            else:
                (interface / "authorized").write_text(authorized)
        (self.path / "idVendor").write_text("0d8c\n")
        self.switched_off = (self.path / "authorized").read_text() == "0\n"  # waits until that is written, if ever


ADMITTED = ("01", "08", "09", "0e")
Make = Callable[..., FakeDevice]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda *classes: FakeDevice(tmp_path / "usb1", classes)


@pytest.mark.parametrize(
    "classes",
    [
        ("08",),
        ("08", "08"),
        ("01", "01", "01"),
        ("0e", "0e", "01", "01"),
        ("09",),
    ],
)
def test_storage_sound_cameras_and_hubs_are_admitted(make: Make, classes: tuple[str, ...], tmp_path: Path) -> None:
    device = make(*classes)
    probed, report = device.run(tmp_path)
    assert report == ""
    assert all(device.admitted)
    assert len(probed) == len(classes)


@pytest.mark.parametrize(
    ("classes", "refused"),
    [
        (("01", "01", "03"), "2=03"),  # a microphone with buttons
        (("03", "01", "01"), "0=03"),
        (("08", "03"), "1=03"),
        (("08", "ff", "0a"), "1=ff 2=0a"),
        (("0e", "0e", "fe"), "2=fe"),
    ],
)
def test_other_interfaces_stay_disabled(make: Make, classes: tuple[str, ...], refused: str, tmp_path: Path) -> None:
    device = make(*classes)
    _, report = device.run(tmp_path)
    assert device.admitted == [kind in ADMITTED for kind in classes]
    assert "0d8c:0a67" in report
    assert "1-1.2" in report
    assert report.endswith(f": {refused}")


@pytest.mark.parametrize("classes", [(), ("03",), ("03", "03"), ("02", "0a"), ("ff",), ("e0",), ("1",), ("80",), ("",)])
def test_a_device_without_any_of_them_is_switched_off_and_named(
    make: Make, classes: tuple[str, ...], tmp_path: Path
) -> None:
    device = make(*classes)
    probed, report = device.run(tmp_path)
    assert device.switched_off
    assert not any(device.admitted)
    assert probed == []
    for part in ("0d8c:0a67", "1-1.2", "hardening_usb_admission", *(f"{i}={kind}" for i, kind in enumerate(classes))):
        assert part in report


def test_all_are_authorized_before_any_is_probed_and_control_interfaces_are_probed_last(tmp_path: Path) -> None:
    """A driver claims the streaming interfaces when it gets the control interface, which has the lowest number."""
    device = FakeDevice(tmp_path / "usb1", ["01", "01", "01"], logs_writes=True)
    written, _ = device.run(tmp_path)
    assert written == ["1", "1", "1", "1-1.2:1.2", "1-1.2:1.1", "1-1.2:1.0"]


def test_nothing_is_authorized_if_interfaces_would_be(tmp_path: Path) -> None:
    """A root hub that takes no default for interfaces: the device stays as it is."""
    device = tmp_path / "usb1" / "1-1"
    device.mkdir(parents=True)
    (tmp_path / "usb1" / "interface_authorized_default").mkdir()  # not to be written to
    (device / "authorized").write_text("0\n")
    ran = subprocess.run(["sh", SCRIPT, device, tmp_path / "probe"], check=False, capture_output=True, timeout=LIMIT_S)
    assert ran.returncode != 0
    assert (device / "authorized").read_text() == "0\n"


def test_a_directory_that_is_no_usb_device_is_refused(tmp_path: Path) -> None:
    ran = subprocess.run(["sh", SCRIPT, tmp_path], check=False, capture_output=True, timeout=LIMIT_S)
    assert ran.returncode != 0


def test_udev_s_own_list_of_interfaces_admits_nothing() -> None:
    """udev stops at a descriptor of two bytes, and its list is cut at 512 bytes: it may lack the keyboard."""
    rules = [line for line in (ROLE / "89-missed-moment-admission.rules").read_text().splitlines() if line[:1] != "#"]
    assert len(rules) == 1
    assert "ID_USB_INTERFACES" not in rules[0]
    assert not re.search(r"ATTR\{authorized\}\s*=[^=]", rules[0])
    assert 'ATTR{authorized}=="0", ATTRS{authorized_default}=="0"' in rules[0]  # where the kernel does it, it stays so
