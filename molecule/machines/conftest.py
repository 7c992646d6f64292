"""What tests of the roles have in common."""

from collections.abc import Iterator

import pytest

from imaging.chroot import Chroot, chroot_over
from machines import disk
from machines.device_root import DEVICE


@pytest.fixture
def debian() -> Iterator[Chroot]:
    """Have a Debian that no role has seen."""
    if why := disk.missing():
        pytest.skip(why)
    with chroot_over(DEVICE.build()) as chroot:
        yield chroot
