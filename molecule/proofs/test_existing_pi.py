"""Somebody's camera, which is written to, is closed over ssh, played again when it is closed, and opened for good."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imaging import REPOSITORY
from machines.disk import open_disk
from machines.manual import commands
from machines.qemu import LARGE_MB, free_port, ssh_network
from machines.virtual_device import VirtualDevice
from stories.filling import keep_a_moment

_LISTS_ARE_FRESH = (
    "mkdir -p /var/lib/apt/periodic && touch /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp"
)
_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
_FLEET = "docs/how-to/fleet.md"
_PASSWORD = "raspberry"  # noqa: S105 - of a device that is thrown away
# The first user of a Pi that is sold today: a key lets in, sudo asks for a password.
_FIRST_USER = """
id pi >/dev/null 2>&1 || useradd --create-home --shell /bin/bash pi
usermod --append --groups sudo pi
echo "pi:$2" | chpasswd
rm -f /etc/sudoers.d/*pi*
install -d -m 700 -o pi -g pi /home/pi/.ssh
echo "$1" >/home/pi/.ssh/authorized_keys
systemctl enable --now --no-block systemd-networkd.service ssh.service
"""
# The mess that a run leaves that was cut off.
_CUT_OFF = "mount -o remount,rw / && touch /run/missed-moment-run-unfinished"
_STATE = "cat /etc/fstab /boot/firmware/cmdline.txt; ls -R /etc/systemd/system /etc/cloud"


class Operator:
    """Who runs the playbook on a device, over ssh, with the manual's commands and the repository's ansible.cfg."""

    def __init__(self, device: VirtualDevice, port: int) -> None:
        self._device = device
        key = device.place / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        device.run("sh", "-euc", _FIRST_USER, "sh", key.with_suffix(".pub").read_text().strip(), _PASSWORD)
        hosts = device.place / "known_hosts"
        hosts.write_text(f"[127.0.0.1]:{port} {device.run('cat', '/etc/ssh/ssh_host_ed25519_key.pub')}")
        options = ["-o", f"UserKnownHostsFile={hosts}", "-o", "ConnectTimeout=60", "-o", "ControlPersist=600"]
        self.inventory = device.place / "inventory"
        # In the group, and by the name, that fleet.md uses.
        self.inventory.write_text(
            f"[closed]\nkitchen.local ansible_host=127.0.0.1 ansible_port={port} ansible_user=pi "
            f"ansible_become_password={_PASSWORD} ansible_ssh_private_key_file={key} "
            f"ansible_ssh_common_args='{shlex.join(options)}'\n"
        )

    def play(self, *options: str) -> str:
        """Run site.yml and return its output, whether it went well or not."""
        return self.run([str(_PLAYBOOK), f"--inventory={self.inventory}", *options, "site.yml"])

    def run(self, command: list[str]) -> str:
        """Run a command and return its output, whether it went well or not."""
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_TIMEOUT": "60"}
        done = subprocess.run(command, cwd=REPOSITORY, env=env, check=False, capture_output=True, text=True)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def somebody_s() -> Iterator[tuple[VirtualDevice, Operator]]:
    """Switch on a camera whose system is written to."""
    port = free_port()
    with VirtualDevice(open_disk(), ssh_network(port), memory_mb=LARGE_MB) as device:
        device.until_it_records(180)
        yield device, Operator(device, port)


def changed(said: str) -> list[str]:
    """Return which tasks of a play changed something; it went well."""
    assert re.search(r"changed=\d+ .*unreachable=0 .*failed=0 ", said), said
    tasks = re.split(r"^(?:TASK|RUNNING HANDLER) \[", said, flags=re.MULTILINE)
    return [task.partition("]")[0] for task in tasks if "\nchanged: [" in task]


def read_only(device: VirtualDevice) -> bool:
    """Say whether the system is mounted read-only now."""
    return "ro" in device.run("findmnt", "--noheadings", "--output", "OPTIONS", "/").strip().split(",")


@pytest.mark.timeout(4 * 3600)
def test_it_is_closed_and_opened(somebody_s: tuple[VirtualDevice, Operator]) -> None:
    """Refused if there is no room, before anything is touched; else closed, and moments that were there are."""
    device, operator = somebody_s
    keep_a_moment(device)
    device.run("sh", "-c", _LISTS_ARE_FRESH)
    device.run("mkdir", "-p", "/etc/cloud")
    before = device.run("sh", "-c", _STATE)
    said = operator.play("-e", "readonly_root_enabled=true", "-e", "readonly_root_data_min_mb=5000")
    assert "There is no place for /data" in said
    said = operator.play("-e", "readonly_root_enabled=true", "-e", "readonly_root_data=/dev/vda3")
    assert "belong to another disk after the next boot" in re.sub(r"\s+", " ", said), said
    assert device.run("sh", "-c", _STATE) == before

    said = operator.play("-e", "readonly_root_enabled=true", "-e", "readonly_root_reboot=false")
    assert changed(said)
    assert "Reboot kitchen.local" in said
    device.reboot()
    device.until_it_records(240)
    device.look_at_everything(expects=("read-only",))
    assert read_only(device)
    assert len(device.moments()) == 1
    keep_a_moment(device)
    assert "missed-moment" in device.run("cat", "/etc/cloud/cloud-init.disabled")

    # A read-only system is played again; as the run ends, it is what it was.
    device.run("sh", "-euc", _CUT_OFF)
    assert changed(operator.play("-e", "readonly_root_enabled=true", "-e", "readonly_root_reboot=false")) == []
    assert read_only(device)
    device.reboot()
    device.until_it_records(240)

    assert changed(operator.play("-e", "readonly_root_enabled=false", "-e", "readonly_root_reboot=false"))
    device.reboot()
    device.until_it_records(240)
    device.look_at_everything(expects=())
    assert not read_only(device)
    assert len(device.moments()) == 2
    assert not device.run("find", "/etc/cloud", "-name", "cloud-init.disabled")


@pytest.mark.timeout(4 * 3600)
def test_the_manual_s_commands_work_on_a_read_only_pi(somebody_s: tuple[VirtualDevice, Operator]) -> None:
    """All of fleet.md that changes nothing, and at the end the one that takes the network away."""
    device, operator = somebody_s
    operator.inventory.write_text(operator.inventory.read_text() + "[closed:vars]\nreadonly_root_enabled=true\n")
    operator.play("-e", "readonly_root_reboot=false")
    device.reboot()
    device.until_it_records(240)
    assert read_only(device)
    fleet = [command.argv(operator.inventory) for command in commands(_FLEET)]
    plays = [argv for argv in fleet if argv[0].endswith("ansible-playbook") and "--tags" not in argv]
    assert len(plays) >= 3
    for argv in plays:
        assert changed(operator.run(argv)) == []
        assert read_only(device)
    changes = {"file", "reboot", "missed-moment-maintenance on"}
    asks = [argv for argv in fleet if argv[0].endswith("/ansible") and not changes & set(argv)]
    assert len(asks) >= 2
    for argv in asks:
        said = operator.run(argv)
        assert re.search(r"kitchen\.local \| (CHANGED|SUCCESS)", said), said

    # Nobody waits for a Pi that has no network afterwards.
    said = operator.play("-e", "privacy_network=false")
    assert changed(said)
    assert "reboots in 5 seconds" in re.sub(r"\s+", " ", said), said
    device.starts_again(240)
    device.until_it_records(240)
    assert read_only(device)
