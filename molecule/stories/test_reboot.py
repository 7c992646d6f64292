"""The device is started again, once properly and once by pulling the plug."""

from machines.virtual_device import VirtualDevice


def test_reboot(device: VirtualDevice) -> None:
    """It records again, and has every moment that it said was kept."""
    pressed = device.press()
    device.wait_until(lambda: "kept" in device.led_names(pressed), 30, "the LED says kept")
    device.wait_until(lambda: device.state() == "recording", 60, "it records again")
    before = device.moments()

    device.reboot()
    device.wait_until(lambda: device.state() == "recording", 180, "it records again")
    assert device.moments() == before


def test_power_cut(device: VirtualDevice) -> None:
    """The plug is pulled as soon as the LED says kept; the moment is there."""
    before = len(device.moments())
    pressed = device.press()
    device.wait_until(lambda: "kept" in device.led_names(pressed), 30, "the LED says kept")

    device.power_cut()
    device.switch_on()
    device.wait_until(lambda: device.state() == "recording", 180, "it records again")
    moments = device.moments()
    assert len(moments) == before + 1
    device.run("missed-moment", "check", moments[-1]["clip"])
