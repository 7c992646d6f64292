"""missed-moment-doctor finds what is broken on a real system: each thing by its own check."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imaging import chroot
from imaging.chroot import Chroot, CommandFailed, Layer
from machines.device_root import DEVICE
from machines.guest import CommandFailed as CommandFailedInGuest
from machines.provisioning import APPLIANCE, APPLIANCE_EXPECTS, doctor
from machines.virtual_device import VirtualDevice
from machines.workshop import BOARD

_UNIT = "/etc/systemd/system/missed-moment.service"
_CMDLINE = "/boot/firmware/cmdline.txt"
_SETTINGS = "/boot/firmware/missed-moment.toml"
IN_A_ROOT = [
    ("facets_are_recorded", "rm /etc/missed-moment/expect.d/privacy.json"),
    ("store_and_settings_are_good", "chown root /data/clips; chmod 700 /data/clips", "moments_are_private"),
    ("settings_file_explains_every_key", f"sed -i '/fps/d' {_SETTINGS}"),
    ("user_is_as_small_as_can_be", "usermod --append --groups adm missed-moment"),
    ("user_is_as_small_as_can_be", "usermod --shell /bin/sh missed-moment"),
    ("moments_are_private", "chmod 2775 /data/clips"),
    ("rest_is_root_s", "chmod g+w /opt/missed-moment/*/bin/missed-moment"),
    ("rest_is_root_s", f"chown nobody {_UNIT}"),
    ("rest_is_root_s", "chmod o+w /usr/local/lib/missed-moment-doctor/missed_moment_doctor/program.py"),
    ("recorder_starts_at_boot", "systemctl disable missed-moment.service"),
    ("units_are_sound", f"sed -i '/^\\[Service\\]/a Colour=blue' {_UNIT}"),
    ("units_are_locked_in", f"sed -i -e '/^ProtectSystem=/d' -e '/^PrivateNetwork=/d' {_UNIT}"),
    ("rules_are_sound", "echo 'COLOUR==\"blue\"' >>/etc/udev/rules.d/90-missed-moment.rules"),
    ("memory_stays_in_memory", "echo '/swap none swap defaults 0 0' >>/etc/fstab"),
    ("memory_stays_in_memory", "rm /etc/systemd/system/hibernate.target"),
    ("memory_stays_in_memory", "printf '[Journal]\\nStorage=auto\\n' >/etc/systemd/journald.conf.d/99.conf"),
    ("fstab_is_read_only", "sed -i 's/,nodev,nosuid,noexec,/,nosuid,noexec,/' /etc/fstab"),
    ("fstab_is_read_only", "sed -i '/ \\/data /d' /etc/fstab"),
    ("fstab_is_read_only", "sed -i 's/,ro,x-missed-moment.ro / /' /etc/fstab"),
    ("command_line_suits_read_only_root", f"sed -i 's/$/ resize/' {_CMDLINE}"),
    ("cloud_init_is_disabled", "rm -f /etc/cloud/cloud-init.disabled; touch /usr/bin/cloud-init"),
    ("network_units_are_off", "systemctl enable ssh.service; rm -f /etc/systemd/system/ssh.service.d/*"),
    ("passwords_are_refused", "echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/00-first.conf"),
    ("consoles_are_masked", "rm /etc/systemd/system/getty@.service"),
    ("usb_admission_is_set_up", f"sed -i 's/ usbcore.authorized_default=0//' {_CMDLINE}"),
]
"""A check, a way to break what it checks, and other checks that rightly find it, too."""
# The clean-up is run whatever came of the check.
ON_A_DEVICE = [
    ("system_is_running", "systemd-run --quiet --unit=bad false; sleep 1", "systemctl reset-failed bad.service"),
    ("mounts_are_read_only", "mount -o remount,rw /", "mount -o remount,ro /"),
    (
        "nothing_listens",
        "systemd-run --quiet --unit=ear python3 -c 'import socket; socket.create_server((\"\", 80)).accept()'; sleep 9",
        "systemctl stop ear.service",
    ),
    (
        "no_getty_runs",
        "cp /usr/bin/sleep /run/agetty; systemd-run --quiet --unit=getty-of-ours /run/agetty infinity; sleep 1",
        "systemctl stop getty-of-ours.service",
    ),
    ("kernel_is_closed", "sysctl -q kernel.sysrq=1", "sysctl -q kernel.sysrq=0"),
    (
        "memory_is_locked",
        "fallocate -l 8M /data/s; chmod 600 /data/s; mkswap -q /data/s; swapon /data/s",
        "swapoff /data/s; rm /data/s",
    ),
    ("usb_is_admitted_by_rule", *(f"echo {n} >/sys/module/usbcore/parameters/authorized_default" for n in (1, 0))),
    ("gpio_chips_have_their_group", "chmod 600 /dev/gpiochip*", "chmod 660 /dev/gpiochip*"),
    ("dma_heaps_have_their_group", "chgrp root /dev/dma_heap/*", "chgrp video /dev/dma_heap/*"),
    (
        "network_matches_its_setting",
        "systemctl start --no-block missed-moment-network.target; sleep 1",
        "rm -f /run/missed-moment-network; systemctl stop missed-moment-network.target systemd-networkd ssh",
    ),
    ("recorder_runs_since_it_was_started", "systemctl kill --signal=KILL missed-moment.service; sleep 1", ":"),
]


@pytest.fixture(scope="module")
def provisioned() -> Iterator[Layer]:
    """Have what the playbook makes of Debian; nothing runs in it."""
    if why := DEVICE.missing() or chroot.missing():
        pytest.skip(why)
    root = DEVICE.build()
    with tempfile.TemporaryDirectory(prefix="doctor-", dir=root.parent) as place:
        layer = Layer(root, Path(place))
        layer.make()
        lay_over = f"{layer.mount()}cp -a --no-target-directory {BOARD / 'before'} {layer.whole}"
        subprocess.run(["unshare", "--mount", "sh", "-euc", lay_over], check=True)
        device = Chroot(layer.whole, layer)
        device.run("groupadd", "--force", "--system", "gpio")
        device.play(f"--extra-vars=@{BOARD / 'vars.yml'}", f"--extra-vars=@{APPLIANCE}")
        yield layer


def failing(device: Chroot, command: str) -> set[str]:
    """Return which checks fail after a command."""
    script = f"{{ {command}; }} >&2; exec {' '.join(doctor(APPLIANCE_EXPECTS))}"
    try:
        said = device.run("sh", "-euc", script)
    except CommandFailed as failed:
        said = str(failed)
    assert re.search(r"^\d+ failed$", said, re.MULTILINE), said
    return set(re.findall(r"^NOT ok (\w+):", said, re.MULTILINE))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "command", "more"),
    [("", ":", []), *((name, command, more) for name, command, *more in IN_A_ROOT)],
    ids=lambda each: each if isinstance(each, str) and each.isidentifier() else "",
)
def test_the_root_is_broken(name: str, command: str, more: list[str], provisioned: Layer) -> None:
    """The check whose subject it is fails, and no other that is not named."""
    with tempfile.TemporaryDirectory(prefix="broken-", dir=provisioned.place.parent) as place:
        layer = Layer(Path(f"{provisioned.changes}:{provisioned.root}"), Path(place))
        layer.make()
        assert failing(Chroot(layer.whole, layer), command) == {*([name] if name else []), *more}


@pytest.mark.timeout(3600)
def test_the_device_is_broken(fresh: VirtualDevice) -> None:
    """It passes all checks; then it is broken, in one way after the other, and the check whose subject it is fails."""
    fresh.look_at_everything()
    for name, breaks, mends in ON_A_DEVICE:
        fresh.run("sh", "-euc", breaks)
        with pytest.raises(CommandFailedInGuest, match=f"NOT ok {name}: "):
            fresh.look_at_everything(only=name)
        fresh.run("sh", "-euc", mends)

    fresh.set_network_card(up=True)
    with pytest.raises(CommandFailedInGuest, match="network interfaces are up"):
        fresh.look_at_everything(only="nothing_listens")
