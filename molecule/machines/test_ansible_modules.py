"""The modules in library/, on files as owners have them."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from imaging import REPOSITORY

pytest.importorskip("ansible")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "library" / f"{name}.py")
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kernel_arguments = load("kernel_arguments")
systemd_masks = load("systemd_masks")
usb_dependencies = load("usb_dependencies")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("root=/dev/a quiet\n", "root=/dev/a quiet panic=10 usbcore.authorized_default=0\n"),
        ("root=/dev/a quiet", "root=/dev/a quiet panic=10 usbcore.authorized_default=0"),
        ("root=/dev/a quiet \n", "root=/dev/a quiet panic=10 usbcore.authorized_default=0 \n"),
        ("root=/dev/a\r\n", "root=/dev/a panic=10 usbcore.authorized_default=0\r\n"),
        ("root=/dev/a\r\nnot this\r\n", "root=/dev/a panic=10 usbcore.authorized_default=0\r\nnot this\r\n"),
        ("root=/dev/a\nnot this\n", "root=/dev/a panic=10 usbcore.authorized_default=0\nnot this\n"),
        ("\nroot=/dev/a\n", "\nroot=/dev/a panic=10 usbcore.authorized_default=0\n"),
        (
            "root=/dev/a xpanic=10 panic=101\n",
            "root=/dev/a xpanic=10 panic=101 panic=10 usbcore.authorized_default=0\n",
        ),
    ],
    ids=[
        "plain",
        "no newline",
        "blank at the end",
        "CRLF",
        "CRLF, two lines",
        "two lines",
        "blank line first",
        "alike",
    ],
)
def test_arguments_are_added_once_and_removed(before: str, after: str) -> None:
    wanted = ["panic=10", "usbcore.authorized_default=0"]
    text, ours = kernel_arguments.edit(before, wanted, set())
    assert (text, ours) == (after, set(wanted))
    assert kernel_arguments.edit(text, wanted, ours) == (after, set(wanted))
    assert kernel_arguments.edit(text, [], ours) == (before, set())


def test_arguments_of_the_owner_stay() -> None:
    before = "panic=10 root=/dev/a\n"
    text, ours = kernel_arguments.edit(before, ["panic=10", "nohibernate"], set())
    assert (text, ours) == ("panic=10 root=/dev/a nohibernate\n", {"nohibernate"})
    assert kernel_arguments.edit(text, [], ours) == (before, set())


@pytest.mark.parametrize("text", ["", "\n", " \r\n"])
def test_without_a_command_line_nothing_is_added(text: str) -> None:
    assert kernel_arguments.edit(text, ["panic=10"], set()) == (text, set())


def test_the_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "cmdline.txt"
    path.write_text("quiet\n")
    path.chmod(0o640)
    kernel_arguments.replace(path, "quiet panic=10\r\n")
    assert path.read_bytes() == b"quiet panic=10\r\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["cmdline.txt"]


def mask(directory: Path, record: Path, *units: str) -> object:
    todo = systemd_masks.plan(list(units), record, directory)
    systemd_masks.carry_out(todo, record, directory)
    return todo


def test_only_own_masks_are_taken_back(tmp_path: Path) -> None:
    directory, record = tmp_path / "system", tmp_path / "state" / "masks"
    directory.mkdir()
    (directory / "theirs.service").symlink_to("/dev/null")
    (directory / "edited.service").write_text("[Unit]\n")
    todo = mask(directory, record, "ours.service", "theirs.service", "edited.service")
    assert (todo.mask, todo.foreign) == (("ours.service",), ("edited.service",))  # type: ignore[attr-defined]
    assert record.read_text() == "ours.service\n"
    assert systemd_masks.is_mask(directory / "ours.service")
    again = mask(directory, record, "ours.service", "theirs.service", "edited.service")
    assert (again.mask, again.unmask, again.record) == ((), (), ("ours.service",))  # type: ignore[attr-defined]
    mask(directory, record)
    assert sorted(path.name for path in directory.iterdir()) == ["edited.service", "theirs.service"]
    assert not record.parent.exists()


def test_one_more_name_of_a_masked_unit_is_masked_with_it(tmp_path: Path) -> None:
    directory, record = tmp_path / "system", tmp_path / "state" / "masks"
    directory.mkdir()
    (directory / "autovt@.service").symlink_to("/usr/lib/systemd/system/getty@.service")
    todo = mask(directory, record, "autovt@.service", "getty@.service")
    assert (todo.mask, todo.foreign) == (("getty@.service",), ())  # type: ignore[attr-defined]
    todo = mask(directory, record, "autovt@.service")
    assert todo.foreign == ("autovt@.service",), "its unit is not masked"  # type: ignore[attr-defined]


def test_a_unit_that_its_owner_unmasked_and_wrote_is_left_alone(tmp_path: Path) -> None:
    directory, record = tmp_path / "system", tmp_path / "state" / "masks"
    directory.mkdir()
    mask(directory, record, "ours.service")
    (directory / "ours.service").unlink()
    (directory / "ours.service").write_text("[Unit]\n")
    mask(directory, record)
    assert (directory / "ours.service").read_text() == "[Unit]\n"
    assert not record.exists()


def board(sysfs: Path, disk: str, number: str) -> None:
    """Lay out sysfs as a board with a disk has it; `disk` is its path below /sys/devices."""
    node = sysfs / "devices" / disk
    node.mkdir(parents=True)
    for links, name in (("dev/block", number), ("class/block", node.name)):
        (sysfs / links).mkdir(parents=True, exist_ok=True)
        (sysfs / links / name).symlink_to(node)


def interface(sysfs: Path, device: str, name: str, state: str = "up", flags: str = "0x1003") -> Path:
    node = sysfs / "devices" / device / "net" / name
    node.mkdir(parents=True)
    (node / "device").symlink_to(sysfs / "devices" / device)
    (node / "flags").write_text(f"{flags}\n")
    (node / "operstate").write_text(f"{state}\n")
    (sysfs / "class/net").mkdir(parents=True, exist_ok=True)
    (sysfs / "class/net" / name).symlink_to(node)
    return node


def mounts(proc: Path, *lines: str) -> None:
    (proc / "self").mkdir(parents=True)
    (proc / "self/mountinfo").write_text("".join(f"{line}\n" for line in lines))


PI_4_USB = (
    "platform/scb/fd500000.pcie/pci0000:00/0000:01:00.0/usb2/2-1/2-1:1.0/host0/target0:0:0/0:0:0:0/block/sda/sda2"
)
PI_3_CARD = "platform/soc/3f202000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/mmcblk0p2"
PI_3_PORT = "platform/soc/3f980000.usb/usb1/1-1/1-1.1/1-1.1:1.0"


def test_a_system_on_a_usb_disk_is_found(tmp_path: Path) -> None:
    proc, sysfs = tmp_path / "proc", tmp_path / "sys"
    board(sysfs, PI_4_USB, "8:2")
    board(sysfs, PI_3_CARD, "179:2")
    mounts(
        proc,
        "22 1 8:2 / / rw,noatime shared:1 - ext4 /dev/sda2 rw",
        "23 22 179:2 / /data rw - ext4 /dev/mmcblk0p2 rw",
        "24 22 8:2 / /media/stick rw - vfat /dev/sda2 rw",
    )
    found = list(usb_dependencies.find_mounts(["/", "/boot/firmware", "/data"], proc, sysfs))
    assert found == ["/ is on a USB disk (/dev/sda2)"]


def test_encryption_and_btrfs_hide_no_usb_disk(tmp_path: Path) -> None:
    proc, sysfs = tmp_path / "proc", tmp_path / "sys"
    board(sysfs, PI_4_USB, "8:2")
    board(sysfs, "virtual/block/dm-0", "254:0")
    slaves = sysfs / "devices/virtual/block/dm-0/slaves"
    slaves.mkdir()
    (slaves / "sda2").symlink_to(sysfs / "devices" / PI_4_USB)
    mounts(
        proc,
        "22 1 254:0 / / rw - ext4 /dev/mapper/root rw",
        "23 22 0:45 / /data rw - btrfs /dev/sda2 rw",
    )
    found = list(usb_dependencies.find_mounts(["/", "/data"], proc, sysfs))
    assert found == ["/ is on a USB disk (/dev/mapper/root)", "/data is on a USB disk (/dev/sda2)"]


def test_the_port_of_a_pi_3_is_found(tmp_path: Path) -> None:
    interface(tmp_path, PI_3_PORT, "eth0")
    interface(tmp_path, "platform/soc/3f300000.mmcnr/mmc_host/mmc1/mmc1:0001/mmc1:0001:1", "wlan0")
    assert list(usb_dependencies.find_interfaces(tmp_path)) == ["the network interface eth0 is a USB device"]


def test_interfaces_that_are_not_used_do_not_matter(tmp_path: Path) -> None:
    interface(tmp_path, PI_3_PORT, "eth0", state="down")
    interface(tmp_path, "platform/soc/3f980000.usb/usb1/1-1/1-1.2/1-1.2:1.0", "eth1", flags="0x1002")
    # What the Pi itself offers to a computer as a USB gadget.
    interface(tmp_path, "platform/soc/3f980000.usb/udc/3f980000.usb/gadget.0", "usb0")
    (tmp_path / "class/net/bonding_masters").write_text("")
    assert list(usb_dependencies.find_interfaces(tmp_path)) == []


def test_a_bridge_over_the_port_of_a_pi_3_is_found(tmp_path: Path) -> None:
    port = interface(tmp_path, PI_3_PORT, "eth0", state="down")
    bridge = tmp_path / "devices/virtual/net/usb0"  # whatever its name
    bridge.mkdir(parents=True)
    (bridge / "flags").write_text("0x1003\n")
    (bridge / "operstate").write_text("up\n")
    (tmp_path / "class/net/usb0").symlink_to(bridge)
    assert list(usb_dependencies.find_interfaces(tmp_path)) == []
    (bridge / "lower_eth0").symlink_to(port)
    assert list(usb_dependencies.find_interfaces(tmp_path)) == ["the network interface usb0 is a USB device"]


_PREFLIGHT = """
- name: Preflight
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Preflight
      ansible.builtin.import_role:
        name: hardening
        tasks_from: preflight
"""
# In mounts of its own, this computer is a Pi 3 that systemd runs on.
_AS_A_PI_3 = """
    mount --bind "$1/class/net" /sys/class/net
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/system
    shift
    exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ("hardening_usb_admission=true", True),
        ("hardening_usb_admission=true privacy_network=false", False),
        ("hardening_usb_admission=false", False),
    ],
)
def test_admission_is_refused_on_a_pi_3_that_keeps_its_network(
    tmp_path: Path, variables: str, *, refused: bool
) -> None:
    port = interface(tmp_path, PI_3_PORT, "eth0")
    link = tmp_path / "class/net/eth0"
    link.unlink()
    link.symlink_to(os.path.relpath(port, "/sys/class/net"))
    (tmp_path / "preflight.yml").write_text(_PREFLIGHT)
    playbook = [str(Path(sys.executable).with_name("ansible-playbook")), "--inventory=localhost,", "--connection=local"]
    playbook += [
        f"--extra-vars={variables} ansible_python_interpreter={sys.executable}",
        str(tmp_path / "preflight.yml"),
    ]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", _AS_A_PI_3, "sh", str(tmp_path), *playbook],
        env=os.environ
        | {"ANSIBLE_LIBRARY": str(REPOSITORY / "library"), "ANSIBLE_ROLES_PATH": str(REPOSITORY / "roles")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == refused, done.stdout + done.stderr
    assert ("the network interface eth0 is a USB device" in done.stdout) == refused
