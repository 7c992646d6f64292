"""Somebody logs in at a console: what the story of power on looks for, and does not find, is seen."""

from machines.virtual_device import VirtualDevice
from stories.test_power_on import people

# As login does, for somebody at a console.
_LOG_IN = "systemd-run --quiet --unit=somebody --property=PAMName=login --property=User=root sleep infinity"


def test_somebody_who_logs_in_is_seen(fresh: VirtualDevice) -> None:
    """The list of sessions, which is empty after power on, has them."""
    fresh.run("sh", "-euc", _LOG_IN)
    fresh.wait_until(lambda: people(fresh) == ["root"], 60, "root is logged in")
    fresh.run("systemctl", "stop", "somebody.service")
    fresh.wait_until(lambda: people(fresh) == [], 60, "nobody is logged in")
