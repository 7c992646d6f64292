"""Something went wrong before anybody could be told, and nobody sits at a console."""

from machines.virtual_device import VirtualDevice


def test_emergency_mode_ends(fresh: VirtualDevice) -> None:
    """It reboots after a minute: what failed once may not fail twice."""
    fresh.run("systemctl", "--no-block", "isolate", "emergency.target")
    fresh.starts_again(300)
    fresh.until_it_records(240)
