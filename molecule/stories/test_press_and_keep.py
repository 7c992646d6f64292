"""Something lovely happened: press, and it is kept."""

from machines.virtual_device import VirtualDevice


def test_press_and_keep(device: VirtualDevice) -> None:
    """The LED answers with light, then says kept; the moment is on the disk and plays."""
    before = len(device.moments())
    pressed = device.press()
    device.wait_until(lambda: len(device.moments()) == before + 1, 60, "the moment is finished")
    device.wait_until(lambda: device.led_names(pressed)[-1:] == ["recording"], 30, "the LED says recording again")

    said = [name for name in device.led_names(pressed) if name != "recording"]
    assert said[:2] == ["solid", "kept"]

    device.run("missed-moment", "check", device.moments()[-1]["clip"])
