"""The owner turns the network on, with any computer that can write to the boot partition."""

from machines.virtual_device import VirtualDevice


def test_the_network_is_there_when_it_is_asked_for(fresh: VirtualDevice) -> None:
    """Off, nothing goes over it; on, it is there after the next start, and the recorder still has none."""
    assert fresh.said_on_the_wire() == []
    fresh.write_setting("network", "enabled", value=True)
    assert fresh.run("missed-moment", "setting", "network.enabled").strip() == "true"
    fresh.reboot()
    fresh.until_it_records(240)
    assert fresh.run("systemctl", "is-system-running", "--wait").strip() == "running"
    fresh.wait_until(fresh.said_on_the_wire, 60, "something is said")
    for unit in ("missed-moment-network.target", "ssh.service"):
        assert fresh.run("systemctl", "is-active", unit).strip() == "active"
    fresh.look_at_everything("network-on")
