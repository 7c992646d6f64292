"""A container that boots the device's own systemd, over a layer that is thrown away.

In molecule/, as root: `python3 -m machines.nspawn start`, and `stop`. It has a loopback network and nothing else:
whatever a role does to a network, it does not do to this machine's, and all it installs must be in the root. Still
it is reached the way a Pi is, by `ssh -F .cache/container/ssh_config container`, as a user who may use sudo. There
is one container for each checkout; on a host without systemd, one for all, because they would share a control group.
"""

import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from imaging import REPOSITORY, host
from imaging.chroot import Chroot, Layer
from imaging.debian_root import DebianRoot, remove_tree
from machines.device_root import DEVICE

PLACE = REPOSITORY / ".cache" / "container"
"""Everything that the container leaves on the host, until it is stopped."""

_USER = "pi"
_PID = PLACE / "pid"
_CONSOLE = PLACE / "console"
_BOOT_LIMIT_S = 120.0

# Lists of packages grow old after a day, but there is no network to fetch others from.
_PREPARE = f"""
    echo container >/etc/hostname
    echo 127.0.1.1 container >>/etc/hosts
    useradd --create-home --shell /bin/bash {_USER}
    echo '{_USER} ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/{_USER}
    install -d -m 700 -o {_USER} -g {_USER} /home/{_USER}/.ssh
    cat >/home/{_USER}/.ssh/authorized_keys
    rm -f /etc/ssh/ssh_host_*
    ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    touch /var/lib/apt/lists
    # What the playbook finds of an owner, and of an operator of before.
    install -d -m 2775 -o {_USER} -g {_USER} /data
    groupadd --system missed-moment
    useradd --no-create-home --groups missed-moment former
    # It would empty the host's table of foreign programs.
    ln -s /dev/null /etc/systemd/system/systemd-binfmt.service
"""


class NotBooted(Exception):  # noqa: N818 - it is what is said of the container
    """The container ended, or took too long; the message is what its console showed."""


def missing() -> str | None:
    """Say why no container can be started here; None where it can."""
    return DebianRoot.missing() or host.missing("systemd-nspawn")


def start(*devices: Path) -> None:
    """Boot a fresh container with some of this machine's `devices`, and return when it has booted.

    Ends one that runs already.
    """
    stop()
    host.install("systemd-nspawn", "systemd-container")
    root = DEVICE.build()
    PLACE.mkdir(parents=True)
    layer = Layer(root, PLACE)
    layer.make()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", PLACE / "key"], check=True)
    chroot = Chroot(layer.whole, layer)
    chroot.run("sh", "-euc", _PREPARE, stdin=(PLACE / "key.pub").read_text())
    (PLACE / "known_hosts").write_text("container " + chroot.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
    leader = _boot(layer, devices)
    (PLACE / "ssh_config").write_text(_ssh_config(leader))


def stop() -> None:
    """End the container and leave nothing of it, however far `start` came; does nothing where there is none."""
    if pid := _first():
        _kill(pid)
    remove_tree(PLACE)


def _boot(layer: Layer, devices: Sequence[Path]) -> int:
    """Start the container, wait until it says that it has booted, and return the host's number of its process 1."""
    nspawn = ["systemd-nspawn", "--quiet", "--boot", "--machine=missed-moment", f"--directory={layer.whole}"]
    nspawn += ["--private-network", "--register=no", "--notify-ready=yes", "--console=read-only"]
    nspawn += [f"--bind={device}" for device in devices]
    if not Path("/run/systemd/system").is_dir():
        nspawn.append("--keep-unit")  # nobody is there to give it a unit of its own
    # Processes and mounts of its own, which the kernel ends with the first of them. That one says who it is before it
    # does anything: `stop` finds it, whatever happens to this process.
    own = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
    boot = shlex.join(["sh", "-euc", f"{layer.mount()}exec {shlex.join(nspawn)}"])
    script = f'echo "$$" >{shlex.quote(str(_PID))}; exec {shlex.join(own)} {boot}'
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices, _CONSOLE.open("wb") as console:
        notices.bind("")  # a free abstract address
        first = subprocess.Popen(
            ["sh", "-euc", script, "sh", str(PLACE)],
            env=os.environ | {"NOTIFY_SOCKET": "@" + notices.getsockname()[1:].decode()},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
        )
        _wait_for_boot(first.pid, notices)
    (nspawn_pid,) = _children(first.pid)
    (leader,) = _children(nspawn_pid)
    return leader


def _wait_for_boot(first: int, notices: socket.socket) -> None:
    until = time.monotonic() + _BOOT_LIMIT_S
    ended = os.pidfd_open(first)
    try:
        said = b""
        while b"READY=1" not in said.splitlines():
            readable, _, _ = select.select([notices.fileno(), ended], [], [], max(0.0, until - time.monotonic()))
            if notices.fileno() not in readable:
                raise NotBooted(_CONSOLE.read_text(errors="replace"))
            said = notices.recv(4096)
    finally:
        os.close(ended)


def _first() -> int | None:
    """Return the first process of the container that `start` started, if it lives."""
    try:
        pid = int(_PID.read_text())
        # The number may by now be somebody else's.
        return pid if str(PLACE) in Path(f"/proc/{pid}/cmdline").read_text() else None
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kill(pid: int) -> None:
    """Kill a process, and return when it and its children, with all that they began, are gone."""
    with ExitStack() as stack:
        family = []
        for each in (pid, *_children(pid)):
            with suppress(ProcessLookupError):
                family.append(os.pidfd_open(each))
                stack.callback(os.close, family[-1])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        for process in family:
            select.select([process], [], [])


def _ssh_config(leader: int) -> str:
    """Return ssh's settings: the container's own sshd is started inside it, for each connection."""
    return f"""\
Host container
    ProxyCommand nsenter --target {leader} --all /usr/sbin/sshd -i
    User {_USER}
    IdentityFile "{PLACE}/key"
    IdentitiesOnly yes
    UserKnownHostsFile "{PLACE}/known_hosts"
    StrictHostKeyChecking yes
"""


def main(arguments: list[str]) -> int:
    """Do what the one argument says; returns the exit status."""
    match arguments:
        case ["start"]:
            start()
        case ["stop"]:
            stop()
        case _:
            print("usage: python3 -m machines.nspawn start|stop", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
