"""Somebody pulls the camera's plug, and puts it back."""

from machines.virtual_device import VirtualDevice


def test_camera_gone(device: VirtualDevice) -> None:
    """The LED counts to two and the status says what to do; with the camera back it films again."""
    gone = device.now()
    device.unplug_camera()
    device.wait_until(lambda: "fault 2" in device.led_names(gone), 120, "the LED blinks twice, again and again")
    assert list(device.status()["faults"]) == ["camera"]

    device.plug_camera()
    device.until_it_records(180)
    assert device.status()["faults"] == {}
