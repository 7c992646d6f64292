"""The stage: a root file system as Debian or Raspberry Pi OS made it becomes a camera's.

Called by pi-gen and by `stages` alike, in the workbench: `python -m imaging.stage TREE`.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from imaging import PROJECT
from imaging.chroot import Chroot, CommandFailed
from imaging.finalise import finalise
from imaging.traces import remove_traces

_BOARD_ARCHIVE = "archive.raspberrypi."
"""In the address of Raspberry Pi's package archive, and of no other."""


def make_camera(tree: Path) -> None:
    """Play the playbook in `tree`, and remove what is left of the making. Raises CommandFailed."""
    told = ("--extra-vars=@image/appliance.yml", "--extra-vars", json.dumps(variables(tree)))
    Chroot(tree, shown=True).play(*told, playbook="image/image.yml")
    finalise(tree)
    remove_traces(tree)


def variables(tree: Path) -> dict[str, Any]:
    """Return the variables of the playbook that depend on what `tree` is made of."""
    return {
        "image_is": _identity(tree),
        # In a chroot, nothing else shows the role what the image will be booted on.
        "recorder_board_packages": "required" if _knows_boards(tree) else "optional",
    }


def version() -> str:
    """Return the version of what the image holds."""
    return str(runpy.run_path(str(PROJECT / "src/missed_moment/__init__.py"))["__version__"])


def _identity(tree: Path) -> dict[str, str]:
    """Return what os-release(5) is to say besides what the base says of itself."""
    identity = {"IMAGE_ID": "missed-moment", "IMAGE_VERSION": version()}
    if not _knows_boards(tree):
        identity |= {
            "VARIANT": "Debian stand-in: it knows no camera on a Raspberry Pi's connector",
            "VARIANT_ID": "debian-stand-in",
        }
    return identity


def _knows_boards(tree: Path) -> bool:
    """Return whether apt's sources in `tree` include Raspberry Pi's archive, in a file of whatever name."""
    apt = tree / "etc" / "apt"
    sources = (apt / "sources.list", *apt.glob("sources.list.d/*"))
    return any(_BOARD_ARCHIVE in file.read_text() for file in sources if file.is_file())


if __name__ == "__main__":
    try:
        make_camera(Path(sys.argv[1]))
    except CommandFailed as failure:
        sys.exit(str(failure).partition("\n")[0])
