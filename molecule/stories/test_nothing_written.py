"""Nobody presses."""

from machines.virtual_device import VirtualDevice

WATCHED_S = 20


def test_nothing_is_written_before_the_press(device: VirtualDevice) -> None:
    """It films and listens, and not a block of its card is written; a press writes."""
    began, seen = _written(device), device.status()["frames"]["seen"]
    device.wait_until(lambda: device.status()["frames"]["seen"] > seen + 5 * WATCHED_S, 120, "it films")
    assert _written(device) == began
    device.press()
    device.wait_until(lambda: device.written() > began + 100_000, 60, "the moment is written")


def _written(device: VirtualDevice) -> int:
    """Return how many bytes are written, with what the kernel would have held back for another half a minute."""
    device.run("sync")
    return device.written()
