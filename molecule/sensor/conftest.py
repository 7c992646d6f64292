"""One device for all of these stories."""

from collections.abc import Iterator

import pytest

from machines import virtual_device
from machines.disk import sensor_disk
from machines.virtual_device import VirtualDevice


@pytest.fixture(scope="session")
def device() -> Iterator[VirtualDevice]:
    """Switch on a Zero 2 W with a camera on its connector."""
    if why := virtual_device.missing():
        pytest.skip(why)
    with VirtualDevice(sensor_disk()) as device:
        yield device
