"""The device is the one of the stories, with something to copy."""

import pytest

from machines.virtual_device import VirtualDevice
from stories.conftest import device, switched_on
from stories.filling import keep_a_moment

__all__ = ["device", "kept", "switched_on"]


@pytest.fixture
def kept(device: VirtualDevice) -> VirtualDevice:
    """A device with two moments, and a mark from which on changes to it are seen."""
    while len(device.moments()) < 2:
        keep_a_moment(device)
    device.run("touch", "/run/hostile")
    return device
