"""Stories are told of one device, which stays switched on: each leaves it as it found it, recording."""

from collections.abc import Iterator

import pytest

from machines import virtual_device
from machines.virtual_device import VirtualDevice

_RECORDS_AGAIN_S = 180


@pytest.fixture(scope="session")
def switched_on() -> Iterator[VirtualDevice]:
    """Switch a device on, and say nothing to it."""
    if why := virtual_device.missing():
        pytest.skip(why)
    with VirtualDevice() as device:
        yield device


@pytest.fixture
def device(switched_on: VirtualDevice) -> Iterator[VirtualDevice]:
    """Have a device that records and has nothing to complain of, and none of whose units has failed afterwards."""
    device = switched_on
    device.until_it_records(_RECORDS_AGAIN_S)
    # On a busy host, /data is mounted after the recorder has begun to miss it.
    device.wait_until(lambda: device.status()["faults"] == {}, _RECORDS_AGAIN_S, "nothing is wrong")
    yield device
    for port in list(device.usb.plugged):  # a story that failed
        device.pull(port)
    assert device.run("systemctl", "list-units", "--failed", "--quiet") == ""  # noqa: S101 - part of each story
