"""A Pi before site.yml, after it, and after uninstall.yml: what differs is explained here, or it is a fault.

In molecule/, as root, with requirements/ansible.txt installed: `python -m machines.uninstall`.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping

import yaml

from imaging import REPOSITORY
from imaging.chroot import Chroot, CommandFailed, chroot_over, missing
from machines.device_root import DEVICE

# What an owner's files may look like: a swap file, a comment, no newline at the end, a section for one board.
_OWNER_S = r"""
    mkdir -p /etc/systemd/system/ssh.service.d /etc/ssh/sshd_config.d /etc/rpi/swap.conf.d
    printf '%s\n' '# mine' 'PARTUUID=6d6d0001-01 /boot/firmware vfat defaults 0 2' \
        'PARTUUID=6d6d0001-02 / ext4 defaults,noatime 0 1' '/var/swap none swap sw 0 0' >/etc/fstab
    printf 'console=tty1 root=PARTUUID=6d6d0001-02 rootwait quiet' >/boot/firmware/cmdline.txt
    printf '%s\n' camera_auto_detect=1 '[pi4]' arm_boost=1 >/boot/firmware/config.txt
    printf '[Service]\nNice=1\n' >/etc/systemd/system/ssh.service.d/mine.conf
    echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/50-cloud-init.conf
    ln -s /dev/null /etc/systemd/system/bluetooth.service
    systemctl -q enable systemd-networkd.service
"""
_STRICT = {
    "hardening_consoles": False,
    "hardening_dedicated": True,
    "hardening_usb_admission": True,
    "privacy_network": False,
    "privacy_zram": False,
    "readonly_root_enabled": False,
}
_READ_ONLY = {
    "readonly_root_data": "PARTUUID=6d6d0001-03",
    "readonly_root_enabled": True,
    "readonly_root_grow": True,
}
_MILD = {"readonly_root_enabled": False}

# Each with its reason. A path stands for what is below it, too.
_MAY_DIFFER = {
    "boot/firmware/missed-moment.toml": "the owner's settings",
    "data": "moments",
    "etc/group-": "groupadd's copy of before",
    "etc/gshadow-": "groupadd's copy of before",
    "etc/passwd-": "useradd's copy of before",
    "etc/shadow-": "useradd's copy of before",
    "etc/subgid-": "useradd's copy of before",
    "etc/subuid-": "useradd's copy of before",
    "var/lib/dbus/machine-id": "a link to the same number, as the first start would make it",
}
_DIRECTORY = "40755 0:0 "
_CMDLINE = "boot/firmware/cmdline.txt"
# What changes by itself. Packages are compared by the package manager's own list.
_NOT_COMPARED = (
    "dev",
    "proc",
    "run",
    "sys",
    "tmp",
    "root/.ansible",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/log",
)

_WITHOUT_DATA = """
    mount -t tmpfs -o ro tmpfs /data
    mkdir -p /run/sshd
    /usr/local/sbin/missed-moment-ssh-key
    sed 's,^HostKey /etc/ssh/,HostKey /nowhere/,' /etc/ssh/sshd_config.d/00-missed-moment.conf >/run/sshd_config
    /usr/sbin/sshd -t -f /run/sshd_config
    umount /data
"""

_SNAPSHOT = r"""
import hashlib, json, os, subprocess, sys
seen = {}
for place, directories, files in os.walk("/"):
    directories[:] = [name for name in directories if os.path.join(place, name)[1:] not in NOT_COMPARED]
    for name in directories + files:
        path = os.path.join(place, name)
        stat = os.lstat(path)
        what = f"{stat.st_mode:o} {stat.st_uid}:{stat.st_gid} "
        if os.path.islink(path):
            what += os.readlink(path)
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                data = file.read()
            readable = path.startswith(("/etc/", "/boot/"))
            what += data.decode(errors="replace") if readable else hashlib.sha256(data).hexdigest()
        if not path.endswith(".pyc") and name != "__pycache__":
            seen[path[1:]] = what
def ask(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
for line in ask("systemctl", "list-unit-files", "--no-legend", "--no-pager"):
    seen["unit " + line.split()[0]] = line.split()[1]
for line in ask("dpkg-query", "--show"):
    seen["package " + line.split()[0]] = line.split()[1]
json.dump(seen, sys.stdout)
"""


class Broken(Exception):  # noqa: N818 - it is what is said of the thing looked at
    """Something differs that nobody has explained; the message is what."""


def look(device: Chroot) -> dict[str, str]:
    """Return every file, every unit file's state, and the packages."""
    seen: dict[str, str] = json.loads(
        device.run("python3", "-", stdin=f"NOT_COMPARED = {_NOT_COMPARED!r}\n{_SNAPSHOT}")
    )
    return seen


def differences(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """Yield what differs and is not explained. An empty directory in which there was a drop-in is nothing."""
    parents = {path.rpartition("/")[0] for path in after}
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one == other or any(path == each or path.startswith(f"{each}/") for each in _MAY_DIFFER):
            continue
        if one is None and path.endswith(".d") and path not in parents and other == _DIRECTORY:
            continue
        yield f"{path}\n  before: {one!r}\n  after:  {other!r}"


def without_data(seen: dict[str, str]) -> dict[str, str]:
    """Return a snapshot without what stays once the system was read-only: /data in fstab, a newline in cmdline.txt."""
    fstab = re.sub(r"(?m)^\S+ /data .*\n", "", seen["etc/fstab"])
    return seen | {"etc/fstab": fstab, _CMDLINE: seen[_CMDLINE].rstrip("\n")}


def packages() -> list[str]:
    """Return Debian's packages that the roles install, as their variables name them."""
    found: set[str] = set()
    for file in (REPOSITORY / "roles").glob("*/vars/main.yml"):
        variables = yaml.safe_load(file.read_text())
        for name, value in variables.items():
            if name.endswith("_packages") and "board" not in name and isinstance(value, dict):
                found |= value.keys()
    return sorted(found)


def play(device: Chroot, variables: Mapping[str, object], playbook: str = "site.yml") -> int:
    """Run a playbook; return how many tasks changed something."""
    said = device.play("--extra-vars", json.dumps(variables), playbook=playbook)
    recap = re.search(r"changed=(\d+) .*failed=0 ", said)
    if recap is None:
        raise Broken(said)
    return int(recap[1])


def prove(device: Chroot) -> None:
    """Close everything and remove it; open what was closed. Raises Broken if something differs that should not."""
    # Packages stay, and what they change in passing is theirs: they are there before.
    device.run("apt-get", "-qq", "install", "--no-install-recommends", *packages())
    device.run("sh", "-euc", _OWNER_S)
    untouched = look(device)

    play(device, {**_STRICT, **_READ_ONLY})
    refuses_passwords(device)
    makes_a_host_key_without_data(device)
    if not list(differences(untouched, look(device))):
        raise Broken("the playbook changed nothing")
    play(device, {}, "uninstall.yml")
    _must_be_equal(without_data(untouched), without_data(look(device)))
    print("ok what is removed is gone", flush=True)

    play(device, _MILD)
    mild = look(device)
    play(device, _STRICT)
    play(device, _MILD)
    _must_be_equal(without_data(mild), without_data(look(device)))
    print("ok each variable of privacy and hardening is undone by its default", flush=True)


def refuses_passwords(device: Chroot) -> None:
    """What sshd takes of its files refuses passwords, whatever cloud-init wrote."""
    said = device.run("/usr/sbin/sshd", "-G").splitlines()
    if "passwordauthentication no" not in said or "kbdinteractiveauthentication no" not in said:
        raise Broken("\n".join(said))
    print("ok passwords are refused", flush=True)


def makes_a_host_key_without_data(device: Chroot) -> None:
    """Ssh starts with a key in RAM while /data cannot be written to."""
    device.run("sh", "-euc", _WITHOUT_DATA)
    print("ok there is a host key without /data", flush=True)


def _must_be_equal(before: dict[str, str], after: dict[str, str]) -> None:
    if left := list(differences(before, after)):
        raise Broken("\n".join(left))


def main() -> None:
    """Prove it. Exits where that fails, or where this machine cannot."""
    if why := DEVICE.missing() or missing():
        sys.exit(f"nothing is removed: {why}")
    try:
        with chroot_over(DEVICE.build()) as device:
            prove(device)
    except (Broken, CommandFailed) as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main()
