"""The roles in a root file system that nothing runs in, as when an image is built.

As root, with requirements/ansible.txt installed: `python molecule/roles_in_chroot.py`.
"""

import re
import sys
from pathlib import Path

from machines import chroot
from machines.chroot import Chroot, CommandFailed, chroot_over
from machines.device_root import DEVICE

_ORACLE = Path(__file__).with_name("oracle.py")
_SETTINGS = "/boot/firmware/missed-moment.toml"


class Broken(Exception):  # noqa: N818 - it is what is said of the thing looked at
    """Something is not as it must be; the message says what was seen."""


def missing() -> str | None:
    """Say why this cannot run here; None where it can."""
    return DEVICE.missing() or chroot.missing()


def converge(device: Chroot) -> None:
    """The roles do their work."""
    said = device.play()
    _must(_changed(said) > 0, said)


def oracle(device: Chroot) -> None:
    """Everything is as it must be."""
    print(device.run("python3", "-", stdin=_ORACLE.read_text()), end="")


def converge_again(device: Chroot) -> None:
    """There is nothing left to do, and the owner's settings are the owner's, whatever the playbook says."""
    device.run("sh", "-c", f"echo '[video]' >{_SETTINGS}")
    said = device.play("--extra-vars", '{"recorder_settings": {"video": {"width": 1920}}}')
    _must(_changed(said) == 0, said)
    _must(device.run("cat", _SETTINGS) == "[video]\n", "the owner's file was changed")


def _must(good: bool, seen: object) -> None:
    if not good:
        raise Broken(str(seen))


def _changed(said: str) -> int:
    recap = re.search(r"changed=(\d+) .*failed=0 ", said)
    _must(recap is not None, said)
    return int(recap[1]) if recap else -1


def main() -> None:
    """Take the steps, each of which builds on the one before. Exits where this machine cannot."""
    if why := missing():
        sys.exit(f"the roles are not tried in a chroot: {why}")
    with chroot_over(DEVICE.build()) as device:
        for step in (converge, oracle, converge_again):
            step(device)
            print(f"ok {step.__name__}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (Broken, CommandFailed) as failure:
        sys.exit(str(failure))
