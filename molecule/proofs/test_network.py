"""The owner turns the network on, with any computer that can write to the boot partition."""

import pytest

from machines.virtual_device import VirtualDevice, missing


def test_the_network_is_there_when_it_is_asked_for() -> None:
    """Off, nothing goes over it; on, it is there after the next start, and the recorder still has none."""
    if why := missing():
        pytest.skip(why)
    with VirtualDevice() as device:
        device.wait_until(lambda: device.state() == "recording", 180, "it records")
        assert device.status()["frames"]["first_s"] < device.reached_s("multi-user.target")
        assert device.said_on_the_wire() == []
        device.write_setting("network", "enabled", value=True)
        assert device.run("missed-moment", "setting", "network.enabled").strip() == "true"
        device.reboot()
        device.wait_until(lambda: device.state() == "recording", 240, "it records")
        device.wait_until(device.said_on_the_wire, 60, "something is said")
        for unit in ("missed-moment-network.target", "ssh.service"):
            assert device.run("systemctl", "is-active", unit).strip() == "active"
        device.look_at_everything()
