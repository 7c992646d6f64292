"""The recorder's real unit, in its real sandbox, as its real user, films through real picamera2 and libcamera."""

from machines.device_root import ARCHIVE_PLACE, ARCHIVE_VERSION
from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, kept_digests, plug_until_served

_RULE = "grep -l dma_heap /etc/udev/rules.d/*"
# What the kernel makes of the nodes by itself, and udev after it, without a rule of ours.
_TAKE_THE_RULE_AWAY = f"""
mount -o remount,rw /
for rule in $({_RULE}); do mv "$rule" "$rule.away"; done
udevadm control --reload
chown root:root /dev/dma_heap/*; chmod 600 /dev/dma_heap/*
udevadm trigger --settle --subsystem-match=dma_heap
systemctl restart --no-block missed-moment.service
"""
_BRING_THE_RULE_BACK = """
for rule in /etc/udev/rules.d/*.away; do mv "$rule" "${rule%.away}"; done
udevadm control --reload
udevadm trigger --settle --subsystem-match=dma_heap
mount -o remount,ro /
"""

_PATH = f"/usr/local/lib/virtual-board/sensor:{ARCHIVE_PLACE}"
# Of two drop-ins, the later one says what the path is.
_USE_THE_ARCHIVE_S = f"""
mkdir -p /run/systemd/system/missed-moment.service.d
printf '[Service]\\nEnvironment=PYTHONPATH=%s\\n' {_PATH} >/run/systemd/system/missed-moment.service.d/z-archive.conf
systemctl daemon-reload
systemctl restart missed-moment.service
"""
# With the path of the process itself.
_VERSION = """
recorder=$(systemctl show --property=MainPID --value missed-moment.service)
path=$(tr '\\0' '\\n' <"/proc/$recorder/environ" | sed -n 's/^PYTHONPATH=//p')
python3 -I -c 'import sys
from importlib import metadata
path = [*sys.argv[1].split(":"), *sys.path]
print(next(found.version for found in metadata.distributions(name="picamera2", path=path)))' "$path"
"""


def test_with_the_newest_picamera2(device: VirtualDevice) -> None:
    """Frames reach the ring, a press is kept and plays, and a stick gets it."""
    device.until_it_records(240)
    assert version(device) != ARCHIVE_VERSION
    a_press_and_an_export(device)


def test_with_the_picamera2_of_the_board_s_archive(device: VirtualDevice) -> None:
    """The same with the version that a Pi has."""
    device.run("sh", "-euc", _USE_THE_ARCHIVE_S)
    assert version(device) == ARCHIVE_VERSION
    a_press_and_an_export(device)


def version(device: VirtualDevice) -> str:
    """Return which picamera2 the recorder films with."""
    return device.run("sh", "-euc", _VERSION).strip()


def a_press_and_an_export(device: VirtualDevice) -> None:
    """Film, press, and fill a stick."""
    device.until_it_records(240)
    status = device.status()
    assert status["camera"] == "picamera2"
    assert "camera" not in status["faults"]
    assert status["frames"]["unusable"] == 0

    before = len(device.moments())
    device.run("missed-moment", "press")
    device.wait_until(lambda: len(device.moments()) == before + 1, 60, "the moment is finished")
    device.run("missed-moment", "check", device.moments()[-1]["clip"])

    stick = Stick(device.place / "stick", "vfat")
    device.pull(plug_until_served(device, stick))
    assert digests_on(device, stick) == kept_digests(device)


def test_without_the_rule_for_dma_heaps(device: VirtualDevice) -> None:
    """Nothing is filmed, the status says why; with the rule it films again, and nobody restarts the recorder."""
    device.until_it_records(60)
    device.run("sh", "-euc", _TAKE_THE_RULE_AWAY)
    device.wait_until(lambda: "camera" in _faults(device), 180, "the camera cannot be opened")
    device.run("sh", "-euc", _BRING_THE_RULE_BACK)
    device.until_it_records(240)
    assert "camera" not in _faults(device)


def _faults(device: VirtualDevice) -> dict[str, str]:
    return {} if device.state() == "silent" else dict(device.status()["faults"])
