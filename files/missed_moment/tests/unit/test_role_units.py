"""What the units and udev rules of the roles ask of systemd, the kernel and udev."""

import re
from pathlib import Path

import pytest

from missed_moment import clock, places

ROLES = Path(__file__).parents[4] / "roles"
RECORDER = ROLES / "recorder" / "templates" / "missed-moment.service.j2"
EXPORTER = ROLES / "usb_export" / "files" / "missed-moment-export@.service"
DEVICE_RULES = ROLES / "recorder" / "files" / "60-missed-moment-devices.rules"
EXPORT_RULES = ROLES / "usb_export" / "files" / "90-missed-moment-export.rules"
TMPFILES = ROLES / "recorder" / "templates" / "missed-moment-tmpfiles.conf.j2"

MODULES = {"alsa": "snd", "media": "mc", "video4linux": "videodev", "block-sd": "sd_mod"}
"""Which module registers each name in /proc/devices."""
BUILT_IN = {"dma_heap", "gpiochip"}


def values(unit: Path, key: str) -> list[str]:
    """Return the values of a setting, one a word, in their order."""
    found = re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)
    return [word for value in found for word in value.split()]


def rules(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("unit", [RECORDER, EXPORTER])
def test_drivers_are_loaded_before_devices_are_allowed_by_their_names(unit: Path) -> None:
    """systemd looks names up in /proc/devices when it starts the unit, and drops those it does not find."""
    names = {name.removeprefix("char-") for name in values(unit, "DeviceAllow")} - {"rw"} - BUILT_IN
    modules = {f"modprobe@{MODULES[name]}.service" for name in names}
    assert modules
    assert modules <= set(values(unit, "Wants"))
    assert modules <= set(values(unit, "After"))


def test_the_recorder_outlives_the_exporter_if_memory_is_short() -> None:
    recorder, exporter = (int(*values(unit, "OOMScoreAdjust")) for unit in (RECORDER, EXPORTER))
    assert recorder <= -500 < 0 < exporter
    assert values(EXPORTER, "LimitDATA") == ["256M"]


def test_the_recorder_comes_first_if_the_processor_or_the_card_is_busy() -> None:
    recorder, exporter = (int(*values(unit, "CPUWeight")) for unit in (RECORDER, EXPORTER))
    assert recorder > 100 > exporter
    assert values(EXPORTER, "IOSchedulingClass") == ["idle"]


@pytest.mark.parametrize("unit", [RECORDER, EXPORTER])
def test_memory_is_not_bounded_by_what_a_board_s_kernel_lacks(unit: Path) -> None:
    """The firmware passes cgroup_disable=memory."""
    assert not values(unit, "MemoryMax") + values(unit, "MemoryHigh")


@pytest.mark.parametrize(("nodes", "group"), [("dma_heap/*", "video"), ("gpiochip*", "gpio")])
def test_udev_and_tmpfiles_agree_on_who_opens_heaps_and_pins(nodes: str, group: str) -> None:
    """tmpfiles sets it before the recorder starts, udev for nodes that appear later."""
    (line,) = (line.split() for line in TMPFILES.read_text().splitlines() if f"/dev/{nodes} " in line)
    assert line == ["z", f"/dev/{nodes}", "0660", "root", group]
    subsystem = {"video": "dma_heap", "gpio": "gpio"}[group]
    granted = [rule for rule in rules(DEVICE_RULES) if f'SUBSYSTEM=="{subsystem}"' in rule and "GROUP=" in rule]
    assert len(granted) == 1
    assert f'GROUP="{group}", MODE="0660"' in granted[0]


def test_an_exporter_s_instance_differs_each_time_a_stick_is_plugged_in() -> None:
    """A start job for an instance that is still stopping is dropped. The instance is the device's directory as well."""
    (rule,) = (rule for rule in rules(EXPORT_RULES) if "SYSTEMD_WANTS" in rule)
    (alias,) = re.findall(r'ENV\{SYSTEMD_ALIAS\}\+="([^"]+)"', rule)
    (wanted,) = re.findall(r'ENV\{SYSTEMD_WANTS\}\+="([^"]+)"', rule)
    assert alias == "/sys/dev/char/$major:$minor"
    assert wanted == f"missed-moment-export@{alias.strip('/').replace('/', '-')}.service"
    assert "%i.device" in values(EXPORTER, "BindsTo")
    assert "%i.device" in values(EXPORTER, "After")
    assert "-%f" in values(EXPORTER, "ReadWritePaths")


@pytest.mark.parametrize("number", [0, 4])
def test_the_chip_of_a_pi_5_has_each_number_that_gpiozero_opens(number: int) -> None:
    """Chip 4 on a Pi 5, chip 0 on a Compute Module 5 and a Pi 500; kernels number it otherwise (Blinka#1119: 15)."""
    rule = f'KERNEL!="gpiochip{number}", DRIVERS=="pinctrl-rp1", SYMLINK+="gpiochip{number}"'
    assert any(line.startswith('SUBSYSTEM=="gpio"') and line.endswith(rule) for line in rules(DEVICE_RULES))


def test_the_recorder_has_of_run_what_it_needs_and_nothing_else() -> None:
    """Behind sockets that are files there are daemons with a network, which PrivateNetwork= does not confine."""
    assert values(RECORDER, "TemporaryFileSystem") == ["/run:ro"]
    assert values(RECORDER, "BindPaths") == ["%t/missed-moment"]
    assert values(RECORDER, "RuntimeDirectory") == [places.SOCKET.parent.name]
    read_only = values(RECORDER, "BindReadOnlyPaths")
    assert read_only == ["-/run/udev", "/run/systemd/notify", f"-{clock._SYNCHRONISED.parent}"]
    lines = [line.split() for line in TMPFILES.read_text().splitlines()]
    # It stays timesyncd's if that was first: the colons are for a directory that is new.
    assert ["d", str(clock._SYNCHRONISED.parent), ":0755", ":root", ":root"] in lines
