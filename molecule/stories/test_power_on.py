"""Power on, and it films: nobody logs in, nothing is connected."""

from machines.virtual_device import VirtualDevice
from stories.starting import films_before_all_is_there, reached_s


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

    # Ready means that it films.
    assert reached_s(device.run, "missed-moment.service") < reached_s(device.run, "multi-user.target")
    films_before_all_is_there(status["frames"]["first_s"], device.run)

    assert device.run("who") == ""
    device.look_at_everything()
