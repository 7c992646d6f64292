"""pi-gen, the Raspberry Pi project's own way to images: fetched when it is needed, pinned, and not changed."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from imaging import PI_GEN_COPY, REPOSITORY
from imaging.steps import NotMade

SOURCE = "https://github.com/RPi-Distro/pi-gen"
"""Where it is fetched from, unless the environment's `PI_GEN_COPY` names a copy of that repository."""
TAG = "2026-06-18-raspios-trixie-arm64"
COMMIT = "ca8aeed0ae300c2a89f55ce9617d5f96a27e99e5"
_CONFIG = REPOSITORY / "image" / "config"


class NotFetched(NotMade):
    """It could not be had, or is not what is pinned; the message says which, and what to do."""


def fetch(place: Path) -> Path:
    """Have exactly the pinned pi-gen in `place`, and return that. Raises NotFetched."""
    source = os.environ.get(PI_GEN_COPY, SOURCE)
    git = ("git", "-c", "advice.detachedHead=false", "-c", "safe.directory=*")
    if not (place / ".git").is_dir():
        clone = (*git, "clone", "--quiet", "--depth=1", f"--branch={TAG}", source, place)
        if subprocess.run(clone, check=False).returncode:
            raise NotFetched(
                f"pi-gen could not be fetched from {source}: set {PI_GEN_COPY} to a copy of its repository, or build "
                "the stand-in, which needs none: make image BASE=debian"
            )
    head = (*git, "-C", place, "rev-parse", "HEAD")
    commit = subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()
    if commit != COMMIT:
        raise NotFetched(f"pi-gen from {source}, {TAG}, is {commit} and not {COMMIT}: do not trust who moved it")
    return place


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
