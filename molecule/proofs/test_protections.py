"""Each protection of the recorder is what stops an attack, and not by chance something else."""

import pytest

from machines.virtual_device import VirtualDevice
from stories.attacking import ATTACKS, arm, attacked
from stories.conftest import device, switched_on

__all__ = ["device", "switched_on"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_protection_is_what_stops_it(attack: str, device: VirtualDevice) -> None:
    """With that one taken away, the attack succeeds."""
    arm(device)
    outcome = attacked(device, less=ATTACKS[attack])
    assert outcome[attack] == "done", outcome
