"""The playbook on a root file system that nothing runs in, as when an image is built; and what must hold afterwards."""

import re
from collections.abc import Iterable
from pathlib import Path

from imaging import REPOSITORY
from imaging.chroot import Chroot

APPLIANCE = REPOSITORY / "image" / "appliance.yml"
"""What the playbook is told for a device that is nothing else."""
ORACLE = Path(__file__).parents[1] / "oracle.py"
_SETTINGS = "/boot/firmware/missed-moment.toml"


class Broken(Exception):  # noqa: N818 - it is what is said of the thing looked at
    """Something is not as it must be; the message says what was seen."""


def provision(device: Chroot, variables: Iterable[Path]) -> None:
    """Make `device` a camera after files of variables, and prove it.

    Raises Broken, or CommandFailed where the playbook or the oracle fails.
    """
    told = tuple(f"--extra-vars=@{file}" for file in variables)
    for step in (_converge, _look_at_everything, _converge_again):
        step(device, told)
        print(f"ok {step.__name__.strip('_')}, in a root that nothing runs in", flush=True)


def _converge(device: Chroot, told: tuple[str, ...]) -> None:
    """The roles do their work."""
    said = device.play(*told)
    _must(_changed(said) > 0, said)


def _look_at_everything(device: Chroot, _: tuple[str, ...]) -> None:
    """Everything is as it must be."""
    print(device.run("python3", "-", stdin=ORACLE.read_text()), end="")


def _converge_again(device: Chroot, told: tuple[str, ...]) -> None:
    """There is nothing left to do, and the owner's settings are the owner's, whatever the playbook says."""
    before = device.run("cat", _SETTINGS)
    said = device.play(*told, "--extra-vars", '{"recorder_settings": {"video": {"width": 1920}}}')
    _must(_changed(said) == 0, said)
    _must(device.run("cat", _SETTINGS) == before, "the owner's file was changed")


def _must(good: bool, seen: object) -> None:
    if not good:
        raise Broken(str(seen))


def _changed(said: str) -> int:
    recap = re.search(r"changed=(\d+) .*failed=0 ", said)
    _must(recap is not None, said)
    return int(recap[1]) if recap else -1
