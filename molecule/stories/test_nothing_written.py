"""Nobody presses."""

import time

from machines.virtual_device import VirtualDevice

WATCHED_S = 20


def test_nothing_is_written_before_the_press(device: VirtualDevice) -> None:
    """It films and listens, and not a block of its card is written; a press writes."""
    device.wait_until(lambda: _quiet(device), 120, "what was to be written at the start is written")
    began, seen = device.written(), device.status()["frames"]["seen"]
    device.wait_until(lambda: device.status()["frames"]["seen"] > seen + 5 * WATCHED_S, 120, "it films")
    assert device.written() == began
    device.press()
    device.wait_until(lambda: device.written() > began + 100_000, 60, "the moment is written")


def _quiet(device: VirtualDevice) -> bool:
    """Tell whether nothing was written for some seconds: ext4 commits what it holds back after five."""
    before = device.written()
    time.sleep(8)
    return device.written() == before
