"""After all that was told before: told to nobody else."""

from machines.virtual_device import VirtualDevice


def test_not_a_packet_went_over_the_network(device: VirtualDevice) -> None:
    """A cable is plugged in all the time; since power-on, through presses and sticks, nothing has used it."""
    assert device.run("ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert device.said_on_the_wire() == []
