"""A stick is pulled and plugged in again, into the same port, sooner than its exporter has ended."""

import os
import re
import time

from machines.sticks import Stick
from machines.usb import Port
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, keep_a_moment, kept_digests

_SOCKET = "2"
_TIMES = int(os.environ.get("MISSED_MOMENT_REPLUGS", "6"))
_LONGEST_S = 5.0
_START_LIMIT_S = 120
_EXPORTERS = "missed-moment-export@*"


def test_each_replug_is_served(device: VirtualDevice) -> None:
    """From 0 to 5 s apart: an exporter starts each time, and what is plugged in last is filled."""
    stick = Stick(device.place / "replugged", "vfat")
    keep_a_moment(device)
    for number in range(_TIMES):
        port = _plug(device, stick)
        device.pull(port)
        time.sleep(_LONGEST_S * number / (_TIMES - 1))  # how long a hand takes: this is what is tested
    before = device.now()
    port = _plug(device, stick)
    device.wait_until(lambda: device.usb.written(port) and not device.disks(), 300, "the last one is served")
    device.wait_for_led("solid", before, 60)
    device.pull(port)
    device.wait_for_led("recording", before, 60)

    assert digests_on(device, stick) == kept_digests(device)
    device.wait_until(lambda: not _exporters(device), 120, "all exporters have ended")


def _plug(device: VirtualDevice, stick: Stick) -> Port:
    """Plug it in, and return when it has an exporter of its own. Raises NeverHappened."""
    before = _exporters(device)
    port = device.plug(stick.image, socket=_SOCKET)
    device.wait_until(lambda: _exporters(device) - before, _START_LIMIT_S, f"{port.name} has an exporter")
    return port


def _exporters(device: VirtualDevice) -> set[str]:
    """Return the process numbers of all exporters, also of those that are stopping, whatever their units' names."""
    return set(re.findall(r"=([1-9]\d*)", device.run("systemctl", "show", "--property=MainPID", _EXPORTERS)))
