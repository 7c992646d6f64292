"""The recorder's role in a Debian root that nothing runs in, as when an image is built.

As root, with requirements/ansible.txt installed: `python molecule/recorder_in_chroot.py`. What is looked at
afterwards is written down here once more and not read from the role: a slip in the role cannot excuse itself.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from machines.debian_root import DebianRoot

_REPOSITORY = Path(__file__).parents[1]
_BIN = Path(sys.executable).parent
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_UNIT = "missed-moment.service"
_SETTINGS = "/boot/firmware/missed-moment.toml"
_SECURITY_LIMIT = 10
"""Tenths of what `systemd-analyze security` calls exposure: 0 is best, 100 worst."""
_LISTS_AND_TRACES = ("var/lib/apt", "var/cache/apt", "var/log/apt", "tmp", "run", "root/.ansible")
"""What a check may touch: package lists, what apt logs of its thoughts, and Ansible's own traces."""

_RECORDER_PACKAGES = (
    "python3-av",
    "python3-click",
    "python3-gpiozero",
    "python3-numpy",
    "python3-packaging",
    "python3-pydantic",
    "python3-rich",
    "python3-venv",
)

VIRGIN = DebianRoot(
    name="virgin",
    suite="trixie",
    packages=("ca-certificates", "python3", "python3-apt", "systemd"),
    setup=(
        ("mkdir", "/boot/firmware"),
        ("apt-get", "-qq", "update"),
        ("apt-get", "-qq", "install", "--download-only", "--no-install-recommends", *_RECORDER_PACKAGES),
    ),
)
"""What the role finds on a Pi that was just flashed; the packages it will ask for are fetched, not installed."""


class Broken(Exception):  # noqa: N818 - it is what is said of the thing looked at
    """Something is not as it must be; the message says what was seen."""


@dataclass(frozen=True)
class Chroot:
    """A writable layer over a root. Each command gets mounts and processes of its own, which end with it."""

    root: Path
    layer: Path

    @property
    def changes(self) -> Path:
        """What differs from the root."""
        return self.layer / "changes"

    def play(self, *options: str) -> str:
        """Run site.yml over Ansible's chroot connection and return what it said."""
        command = [str(_BIN / "ansible-playbook"), "--connection=community.general.chroot"]
        command += [f"--inventory={self._mount},", "--extra-vars=ansible_remote_tmp=/tmp", *options, "site.yml"]
        return self._run(command)

    def run(self, *command: str) -> str:
        """Run a command inside and return what it said."""
        return self._run(["chroot", str(self._mount), "env", f"PATH=/usr/local/bin:{_PATH}", *command])

    @property
    def _mount(self) -> Path:
        return self.layer / "whole"

    def _run(self, command: list[str]) -> str:
        mounts = """
            mount -t overlay -o lowerdir="$1",upperdir="$2/changes",workdir="$2/work" overlay "$2/whole"
            mount -t proc proc "$2/whole/proc"
            mount -t sysfs -o ro sysfs "$2/whole/sys"
            mount --rbind /dev "$2/whole/dev"
            mount -t tmpfs tmpfs "$2/whole/run"
            touch "$2/whole/etc/resolv.conf"
            mount --bind -o ro "$(realpath /etc/resolv.conf)" "$2/whole/etc/resolv.conf"
            shift 2
            "$@" || exit "$?"
        """
        own = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        done = subprocess.run(
            [*own, "sh", "-euc", mounts, "sh", str(self.root), str(self.layer), *command],
            # Inside, the host's PATH would be wrong; what else the host says (proxies, pip) its own side needs.
            env=os.environ | {"PATH": _PATH, "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"},
            cwd=_REPOSITORY,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            raise Broken(f"exit status {done.returncode} from {' '.join(command)}\n{done.stdout}")
        return done.stdout


@contextmanager
def chroot_over(root: Path) -> Iterator[Chroot]:
    """Lay a fresh writable layer over `root`."""
    with tempfile.TemporaryDirectory(prefix="chroot-", dir=root.parent) as layer:
        for name in ("changes", "work", "whole"):
            (Path(layer) / name).mkdir()
        yield Chroot(root, Path(layer))


def missing() -> str | None:
    """Say why this cannot run here; None where it can."""
    if why := VIRGIN.missing():
        return why
    if not (_BIN / "ansible-playbook").exists():
        return f"there is no ansible-playbook beside {sys.executable}: install requirements/ansible.txt there"
    return None


def _must(good: bool, seen: object) -> None:
    if not good:
        raise Broken(str(seen))


def _changed(said: str) -> int:
    recap = re.search(r"changed=(\d+) .*failed=0 ", said)
    _must(recap is not None, said)
    return int(recap[1]) if recap else -1


def check_mode_on_a_virgin_root(chroot: Chroot) -> None:
    """Check mode goes through, announces changes and makes none."""
    said = chroot.play("--check", "--diff")
    _must(_changed(said) > 0, said)
    written = [path.relative_to(chroot.changes) for path in chroot.changes.rglob("*") if not path.is_dir()]
    stray = [
        str(path) for path in written if not str(path).startswith(_LISTS_AND_TRACES) and path.name != "resolv.conf"
    ]
    _must(not stray, f"check mode wrote {stray}")


def converge(chroot: Chroot) -> None:
    """The role does its work."""
    said = chroot.play()
    _must(_changed(said) > 0, said)


def converge_again(chroot: Chroot) -> None:
    """The second time there is nothing left to do, and check mode knows."""
    for options in ((), ("--check",)):
        said = chroot.play("--diff", *options)
        _must(_changed(said) == 0, said)


def command_works(chroot: Chroot) -> None:
    """The command is in the path and runs on Debian's own libraries."""
    said = chroot.run("missed-moment", "--version")
    _must(re.search(r"\d+\.\d+", said) is not None, said)


def store_and_settings_are_good(chroot: Chroot) -> None:
    """The recorder's own check finds nothing bad."""
    said = chroot.run("runuser", "-u", "missed-moment", "--", "missed-moment", "check")
    _must("all settings are good" in said, said)


def settings_file_holds_every_key(chroot: Chroot) -> None:
    """With the comment signs gone, each of the recorder's keys is there, and its default where it has one."""
    program = f"""
import re, tomllib
from pathlib import Path
from missed_moment.config import Settings, parse
text = Path("{_SETTINGS}").read_text()
assert not parse(text).problems and parse(text).settings == Settings(), "something is set"
full = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.M)
assert not parse(full).problems, parse(full).problems
tables = tomllib.loads(full)
for name, table in Settings():
    defaults = table.model_dump()
    assert set(tables.pop(name)) == set(defaults), name
    seen = getattr(parse(full).settings, name).model_dump()
    assert all(seen[key] == value for key, value in defaults.items() if value is not None), name
assert not tables, tables
"""
    command = chroot.run("readlink", "/usr/local/bin/missed-moment").strip()
    chroot.run(str(Path(command).with_name("python")), "-c", program)


def owner_keeps_the_settings(chroot: Chroot) -> None:
    """A file that the owner edited is left alone, also when the playbook sets something else."""
    chroot.run("sh", "-c", f"echo '[video]' >{_SETTINGS}")
    said = chroot.play("--extra-vars", '{"recorder_settings": {"video": {"width": 1920}}}')
    _must(_changed(said) == 0, said)
    _must(chroot.run("cat", _SETTINGS) == "[video]\n", "the owner's file was changed")


def settings_of_the_playbook_are_written(chroot: Chroot) -> None:
    """Where there is no file, what the playbook sets is in it."""
    chroot.run("rm", _SETTINGS)
    chroot.play("--extra-vars", '{"recorder_settings": {"video": {"width": 1920}, "device": {"name": "kitchen"}}}')
    said = chroot.run("cat", _SETTINGS)
    _must(re.findall(r"^(\w+ = \S+)", said, re.MULTILINE) == ["width = 1920", 'name = "kitchen"'], said)
    chroot.run("missed-moment", "check")


def user_is_as_small_as_can_be(chroot: Chroot) -> None:
    """The user may use devices and owns nothing else: no home, no shell, a group of its own."""
    passwd = chroot.run("getent", "passwd", "missed-moment").strip().split(":")
    _must(passwd[5:] == ["/nonexistent", "/usr/sbin/nologin"], passwd)
    _must(int(passwd[2]) < 1000, passwd)
    groups = chroot.run("id", "-nG", "missed-moment").split()
    _must(groups[0] == "missed-moment" and {"audio", "video"} <= set(groups), groups)


def modes_are_right(chroot: Chroot) -> None:
    """Moments are for the recorder and the operators; everything else belongs to root."""
    seen = chroot.run("stat", "-c", "%U:%G %a %n", "/data", "/data/clips", _SETTINGS, f"/etc/systemd/system/{_UNIT}")
    _must(
        seen.splitlines()
        == [
            "root:root 755 /data",
            "missed-moment:missed-moment 750 /data/clips",
            f"root:root 644 {_SETTINGS}",
            f"root:root 644 /etc/systemd/system/{_UNIT}",
        ],
        seen,
    )


def unit_is_sound(chroot: Chroot) -> None:
    """Systemd finds nothing to say about the unit, and it starts at boot."""
    _must(chroot.run("systemctl", "is-enabled", _UNIT).strip() == "enabled", "not enabled")
    said = chroot.run("systemd-analyze", "verify", "--man=no", f"/etc/systemd/system/{_UNIT}")
    _must(not said.strip(), said)


def unit_is_locked_in(chroot: Chroot) -> None:
    """The sandbox is as tight as it was meant to be."""
    analyse = ("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={_SECURITY_LIMIT}")
    print("     " + chroot.run(*analyse, _UNIT).strip().splitlines()[-1])


CHECKS: tuple[Callable[[Chroot], None], ...] = (
    check_mode_on_a_virgin_root,
    converge,
    converge_again,
    command_works,
    store_and_settings_are_good,
    settings_file_holds_every_key,
    user_is_as_small_as_can_be,
    modes_are_right,
    unit_is_sound,
    unit_is_locked_in,
    owner_keeps_the_settings,
    settings_of_the_playbook_are_written,
)
"""In this order: each builds on what the ones before it left."""


def main() -> int:
    """Run all checks; returns how many failed. Exits where this machine cannot run them."""
    if why := missing():
        sys.exit(f"the recorder's role is not tried in a chroot: {why}")
    failed = 0
    with chroot_over(VIRGIN.build()) as chroot:
        for check in CHECKS:
            try:
                check(chroot)
            except Broken as broken:
                failed += 1
                print(f"FAIL {check.__name__}: {broken}", flush=True)
            else:
                print(f"ok   {check.__name__}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    sys.exit(main())
