"""After all that was told before: told to nobody else."""

from machines.virtual_device import VirtualDevice


def test_not_a_packet_went_over_the_network(device: VirtualDevice) -> None:
    """A cable is plugged in all the time; since power-on, through presses and sticks, nothing has used it.

    It would have been heard: the kernel's first words, as soon as the interface is up, are.
    """
    assert device.run("ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert device.said_on_the_wire() == []

    device.set_network_card(up=True)
    device.wait_until(device.said_on_the_wire, 60, "the kernel looks for a router")
    device.set_network_card(up=False)
