"""The recorder dies in the middle of a moment."""

from machines.virtual_device import VirtualDevice


def test_recorder_killed(device: VirtualDevice) -> None:
    """It is started again by itself, what was pressed for is kept as far as it went, and it films."""
    before = len(device.moments())
    device.press_and_kill()
    device.until_it_records(120)
    moments = device.moments()
    assert len(moments) == before + 1
    assert moments[-1]["recovered"]
    device.run("missed-moment", "check", moments[-1]["clip"])
