"""Somebody has taken the recorder over, and runs what they like in its place."""

from machines.virtual_device import VirtualDevice
from stories.attacking import arm, attacked


def test_nothing_works_from_inside(device: VirtualDevice) -> None:
    """Each attack is refused."""
    arm(device)
    assert [name for name, outcome in attacked(device).items() if outcome == "done"] == []
