"""The playbook on a root file system that nothing runs in, as when an image is built; and what must hold afterwards."""

import re
from collections.abc import Iterable
from pathlib import Path

from imaging import REPOSITORY
from imaging.chroot import Chroot

APPLIANCE = REPOSITORY / "image" / "appliance.yml"
"""What the playbook is told for a device that is nothing else."""
APPLIANCE_EXPECTS = ("read-only", "no-network", "no-consoles", "usb-admission", "dedicated")
"""What missed-moment-doctor must find of a device that was provisioned with those variables."""
_SETTINGS = "/boot/firmware/missed-moment.toml"


class Broken(Exception):  # noqa: N818 - it is what is said of the thing looked at
    """Something is not as it must be; the message says what was seen."""


def doctor(expects: Iterable[str], faults: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the command that checks a device: it must be what a test `expects`, whatever the roles have recorded."""
    return ("missed-moment-doctor", f"--expect={','.join(expects)}", *(f"--fault={fault}" for fault in faults))


def provision(device: Chroot, variables: Iterable[Path], expects: Iterable[str]) -> None:
    """Make `device` a camera after files of variables, and prove that it is what a test `expects` of it.

    Raises Broken, or CommandFailed if the playbook or the doctor fails.
    """
    told = tuple(f"--extra-vars=@{file}" for file in variables)
    _converge(device, told)
    print("ok converge, in a root that nothing runs in", flush=True)
    print(device.run(*doctor(expects)), end="", flush=True)
    _converge_again(device, told)
    print("ok converge again, in a root that nothing runs in", flush=True)


def _converge(device: Chroot, told: tuple[str, ...]) -> None:
    """The roles do their work."""
    said = device.play(*told)
    _must(_changed(said) > 0, said)


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
