"""Somebody's camera, which is written to, is closed over ssh, played again when it is closed, and opened for good."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from machines.disk import open_disk
from machines.qemu import free_port, ssh_network
from machines.virtual_device import VirtualDevice
from stories.filling import keep_a_moment

_REPOSITORY = Path(__file__).parents[2]
_LISTS_ARE_FRESH = (
    "mkdir -p /var/lib/apt/periodic && touch /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp"
)
_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


class Operator:
    """Who plays the playbook on a device, over ssh."""

    def __init__(self, device: VirtualDevice, port: int) -> None:
        self._device = device
        self._port = port
        self.log_in()

    def log_in(self) -> None:
        """Have a key accepted; the device forgets it when it is started again."""
        _, *options, address = self._device.let_in(self._port)
        (self._device.place / "inventory").write_text(
            # By a name of its own: an address of this computer would be "localhost" to Ansible.
            f"pi ansible_host={address.split('@')[1]} ansible_user=root ansible_pipelining=true "
            f"ansible_ssh_common_args='{shlex.join(options)} -o ConnectTimeout=60 -o ControlPersist=600'\n"
        )

    def play(self, *options: str) -> str:
        """Play site.yml and return what it said, whether it went well or not."""
        command = [str(_PLAYBOOK), f"--inventory={self._device.place}/inventory", *options, "site.yml"]
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_TIMEOUT": "60"}
        done = subprocess.run(command, cwd=_REPOSITORY, env=env, check=False, capture_output=True, text=True)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def somebody_s() -> Iterator[tuple[VirtualDevice, Operator]]:
    """Switch on a camera whose system is written to."""
    port = free_port()
    with VirtualDevice(open_disk(), ssh_network(port)) as device:
        device.until_it_records(180)
        yield device, Operator(device, port)


def changed(said: str) -> list[str]:
    """Return which tasks of a play changed something; it went well."""
    assert re.search(r"changed=\d+ .*unreachable=0 .*failed=0 ", said), said
    tasks = re.split(r"^(?:TASK|RUNNING HANDLER) \[", said, flags=re.MULTILINE)
    return [task.partition("]")[0] for task in tasks if "\nchanged: [" in task]


@pytest.mark.timeout(3 * 3600)
def test_it_is_closed_and_opened(somebody_s: tuple[VirtualDevice, Operator]) -> None:
    """Refused where there is no room, before anything was touched; else closed, and moments that were there are."""
    device, operator = somebody_s
    keep_a_moment(device)
    device.run("sh", "-c", _LISTS_ARE_FRESH)
    before = device.run("sh", "-c", "cat /etc/fstab /boot/firmware/cmdline.txt; ls /etc/systemd/system")
    said = operator.play("-e", "readonly_root_enabled=true", "-e", "readonly_root_data_min_mb=5000")
    assert "There is no place for /data" in said
    assert "Nothing was changed" in said
    assert device.run("sh", "-c", "cat /etc/fstab /boot/firmware/cmdline.txt; ls /etc/systemd/system") == before

    assert changed(operator.play("-e", "readonly_root_enabled=true", "-e", "readonly_root_reboot=false"))
    device.reboot()
    device.until_it_records(240)
    device.look_at_everything(expects=("read-only",))
    assert len(device.moments()) == 1
    keep_a_moment(device)

    operator.log_in()
    assert changed(operator.play("-e", "readonly_root_enabled=true")) == []
    assert "ro" in device.run("findmnt", "--noheadings", "--output", "OPTIONS", "/").split(",")
    device.until_it_records(240)

    assert changed(operator.play("-e", "readonly_root_enabled=false", "-e", "readonly_root_reboot=false"))
    device.reboot()
    device.until_it_records(240)
    device.look_at_everything(expects=())
    assert "rw" in device.run("findmnt", "--noheadings", "--output", "OPTIONS", "/").split(",")
    assert len(device.moments()) == 2
