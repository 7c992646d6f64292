"""Root file systems that nothing runs in, played into and looked at from outside, as when an image is built."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imaging import REPOSITORY

_BIN = Path(sys.executable).parent
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# $1 is the tree; each line is undone by the end of the namespace. Where systemd-resolved is there, the tree's
# resolv.conf is a link into /run.
_MOUNTS = """
    mount -t proc proc "$1/proc"
    mount -t sysfs -o ro sysfs "$1/sys"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs tmpfs "$1/run"
    names="$1$(chroot "$1" realpath --canonicalize-missing /etc/resolv.conf)"
    mkdir -p "${names%/*}"
    [ -e "$names" ] || : >"$names"
    mount --bind -o ro "$(realpath /etc/resolv.conf)" "$names"
    shift
    "$@" || exit "$?"
"""


class CommandFailed(Exception):  # noqa: N818 - it is what is said of the command
    """A command did not end well; the message is the command and all it said."""


@dataclass(frozen=True)
class Layer:
    """Where an overlay over `root` keeps what is written to it. Nothing is ever written to the root itself."""

    root: Path
    place: Path

    @property
    def changes(self) -> Path:
        """What differs from the root."""
        return self.place / "changes"

    @property
    def whole(self) -> Path:
        """Where the root and the changes are seen as one, by those who mount it there."""
        return self.place / "whole"

    def make(self) -> None:
        """Make the layer's directories, in a `place` that is there."""
        for path in (self.changes, self.whole, self._work):
            path.mkdir()

    def mount(self) -> str:
        """Return the shell's commands that mount `whole`."""
        # What is thrown away need not reach a disk first. The kernel then wants to be told that no crash came between
        # one mount and the next.
        options = f"volatile,lowerdir={self.root},upperdir={self.changes},workdir={self._work}"
        told = shlex.join(["rm", "-rf", str(self._work / "work" / "incompat")])
        return f"{told}; {shlex.join(['mount', '-t', 'overlay', '-o', options, 'overlay', str(self.whole)])}\n"

    @property
    def _work(self) -> Path:
        return self.place / "work"


@dataclass(frozen=True)
class Chroot:
    """A writable tree. Each command in it gets mounts and processes of its own, which end with it.

    With a `layer`, the tree is what that one mounts. Where it is `shown`, all that is said is printed as it comes.
    """

    tree: Path
    layer: Layer | None = None
    shown: bool = False

    def play(self, *options: str, playbook: str = "site.yml") -> str:
        """Run a playbook over Ansible's chroot connection and return what it said; raises CommandFailed."""
        command = [str(_BIN / "ansible-playbook"), "--connection=community.general.chroot"]
        command += [f"--inventory={self.tree},", *options, playbook]
        return self._run(command)

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command inside and return what it said; raises CommandFailed."""
        return self._run(["chroot", str(self.tree), "env", f"PATH=/usr/local/bin:{_PATH}", *command], stdin)

    def _run(self, command: list[str], stdin: str = "") -> str:
        own = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        mounts = (self.layer.mount() if self.layer else "") + _MOUNTS
        with tempfile.TemporaryFile("w+") as told:
            told.write(stdin)
            told.seek(0)
            running = subprocess.Popen(
                [*own, "sh", "-euc", mounts, "sh", str(self.tree), *command],
                # Inside, the host's PATH would be wrong; what else the host says (proxies, pip) its own side needs.
                env=os.environ | {"PATH": _PATH, "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"},
                cwd=REPOSITORY,
                stdin=told,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            said = "".join(self._heard(running))
        if running.wait():
            raise CommandFailed(f"exit status {running.returncode} from {' '.join(command)}\n{said}")
        return said

    def _heard(self, running: subprocess.Popen[str]) -> Iterator[str]:
        for line in running.stdout or ():
            if self.shown:
                print(line, end="", flush=True)
            yield line


def missing() -> str | None:
    """Say why no play can be run from here; None where it can."""
    if not (_BIN / "ansible-playbook").exists():
        return f"there is no ansible-playbook beside {sys.executable}: install requirements/ansible.txt there"
    return None


@contextmanager
def chroot_over(root: Path) -> Iterator[Chroot]:
    """Lay a fresh writable layer over `root`, and throw it away afterwards."""
    with tempfile.TemporaryDirectory(prefix="chroot-", dir=root.parent) as place:
        layer = Layer(root, Path(place))
        layer.make()
        yield Chroot(layer.whole, layer)
