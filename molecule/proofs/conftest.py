"""Each proof has a device of its own: it does to it what no story may."""

from collections.abc import Iterator

import pytest

from machines.virtual_device import VirtualDevice, missing


@pytest.fixture(scope="session", autouse=True)
def _possible_here() -> None:
    if why := missing():
        pytest.skip(why)


@pytest.fixture
def fresh() -> Iterator[VirtualDevice]:
    """Have a device that was just switched on, and records."""
    with VirtualDevice() as device:
        device.until_it_records(180)
        yield device
