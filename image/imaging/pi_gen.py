"""pi-gen, the Raspberry Pi project's own way to images: fetched when it is needed, pinned, and not changed."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from imaging import PI_GEN_COPY, REPOSITORY
from imaging.debian_root import remove_tree
from imaging.steps import NotMade

SOURCE = "https://github.com/RPi-Distro/pi-gen"
"""Where it is fetched from, unless the environment's `PI_GEN_COPY` names a copy of that repository."""
TAG = "2026-06-18-raspios-trixie-arm64"
COMMIT = "ca8aeed0ae300c2a89f55ce9617d5f96a27e99e5"
STAGES = ("stage0", "stage1")
"""Its stages that our image begins with."""
_CONFIG = REPOSITORY / "image" / "config"
_COMMIT_DIGITS = 12


class NotFetched(NotMade):
    """It could not be had, or is not what is pinned; the message says which, and what to do."""


def place(work: Path) -> Path:
    """Return the directory below `work` for the pinned commit; another commit has another directory."""
    return work / f"pi-gen-{COMMIT[:_COMMIT_DIGITS]}"


def remove(work: Path) -> None:
    """Remove every clone of pi-gen below `work`, and the root file systems that its stages have made there."""
    for former in (*work.glob("pi-gen*"), *(work / stage for stage in STAGES)):
        remove_tree(former)


def fetch(work: Path) -> Path:
    """Clone the pinned commit below `work` if it is not there, and return its directory. Raises NotFetched.

    A new commit starts with nothing that a former one has made.
    """
    source = os.environ.get(PI_GEN_COPY, SOURCE)
    git = ("git", "-c", "advice.detachedHead=false", "-c", "safe.directory=*")
    clone = place(work)
    if not clone.is_dir():
        remove(work)
        part = clone.with_name(f"{clone.name}.part")
        command = (*git, "clone", "--quiet", "--depth=1", f"--branch={TAG}", source, part)
        if subprocess.run(command, check=False).returncode:
            raise NotFetched(
                f"pi-gen could not be fetched from {source}: set {PI_GEN_COPY} to a copy of its repository, or build "
                "the stand-in, which needs none: make image BASE=debian"
            )
        head = (*git, "-C", part, "rev-parse", "HEAD")
        commit = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
        if commit != COMMIT:
            raise NotFetched(f"pi-gen from {source}, {TAG}, is {commit} and not {COMMIT}: do not trust who moved it")
        part.rename(clone)
    return clone


def build(pi_gen: Path, stages: Sequence[Path], work: Path, deploy: Path, name: str) -> None:
    """Run its `build.sh` with our settings and with `stages`; what comes of it is called `name`.

    Raises CalledProcessError.
    """
    told = {
        "STAGE_LIST": " ".join(map(str, stages)),
        "EXPORT_CONFIG_DIR": str(REPOSITORY / "image" / "export"),
        "WORK_DIR": str(work),
        "DEPLOY_DIR": str(deploy),
        "IMG_FILENAME": name,
        "GIT_HASH": COMMIT,
    }
    subprocess.run(["./build.sh", "-c", _CONFIG], cwd=pi_gen, env=os.environ | told, check=True)
