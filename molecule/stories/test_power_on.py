"""Power on, and it films: nobody logs in, nothing is connected."""

from machines.virtual_device import VirtualDevice


def test_power_on(switched_on: VirtualDevice) -> None:
    """It boots without a complaint, fills its minute, then records, and the LED says so."""
    device = switched_on
    assert device.run("systemctl", "is-system-running", "--wait").strip() == "running"
    assert device.run("systemctl", "list-units", "--failed", "--quiet") == ""

    device.until_it_records(180)
    device.wait_until(lambda: device.led_names()[-1:] == ["recording"], 30, "the LED says recording")
    assert device.led_names()[0] == "filling"

    status = device.status()
    assert status["camera"] == "webcam"
    assert status["faults"] == {}

    # All that was there to be started has been when that is reached.
    first_s, reached_s = status["frames"]["first_s"], device.reached_s("multi-user.target")
    assert first_s < reached_s
    print(f"first picture after {first_s:.1f} s, multi-user.target after {reached_s:.1f} s: {first_s / reached_s:.0%}")

    assert device.run("who") == ""
    device.look_at_everything()
