"""A loose contact, or a child: the button is touched faster than any hand can."""

from machines.virtual_device import VirtualDevice

BURSTS = 3


def test_noise(device: VirtualDevice) -> None:
    """It makes one moment, because the presses follow each other, and nothing breaks."""
    before = len(device.moments())
    device.noise(BURSTS)
    device.wait_until(lambda: len(device.moments()) > before, 60, "a moment is finished")
    device.until_it_records(60)

    assert len(device.moments()) == before + 1
    assert device.status()["faults"] == {}
    device.run("missed-moment", "check", device.moments()[-1]["clip"])
