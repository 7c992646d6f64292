"""Power on, and it films: nobody logs in, nothing is connected."""

import json

from machines.virtual_device import VirtualDevice
from stories.starting import films_before_all_is_there


def test_power_on(switched_on: VirtualDevice) -> None:
    """It boots without a complaint, fills its minute, then records, and the LED says so."""
    device = switched_on
    assert device.run("systemctl", "is-system-running", "--wait").strip() == "running"
    assert device.run("systemctl", "list-units", "--failed", "--quiet") == ""

    device.until_it_records(180)
    device.wait_until(lambda: device.led_names()[-1:] == ["recording"], 60, "the LED says recording")
    # The camera's driver and /data come after the recorder's start: on a busy host so late that they are missed.
    names = device.led_names()
    assert "filling" in names[: names.index("recording")], names
    assert set(names[: names.index("recording")]) <= {"fault 2", "fault 6", "filling"}, names

    device.wait_until(lambda: device.status()["faults"] == {}, 60, "nothing is wrong")
    status = device.status()
    assert status["camera"] == "webcam"

    camera_was_late = any(noted["fault"] == "camera" for noted in status["history"])
    films_before_all_is_there(status["frames"]["first_s"], device.run, camera_was_late)

    assert people(device) == []
    device.look_at_everything()


def people(device: VirtualDevice) -> list[str]:
    """Return who has a session, as logind lists them, with or without a terminal."""
    sessions = json.loads(device.run("loginctl", "list-sessions", "--json=short"))
    return [session["user"] for session in sessions if not session["class"].startswith("manager")]
