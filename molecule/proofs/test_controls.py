"""What the stories look for, and do not find, is seen: somebody who logs in, and a packet on the wire."""

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


def test_a_packet_is_heard(fresh: VirtualDevice) -> None:
    """The kernel looks for a router as soon as the interface is up."""
    assert fresh.said_on_the_wire() == []
    fresh.set_network_card(up=True)
    fresh.wait_until(fresh.said_on_the_wire, 60, "the kernel looks for a router")
    fresh.set_network_card(up=False)
