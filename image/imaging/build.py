"""Build the image: `make image`, or `make image BASE=debian` for the stand-in.

All the work is done in the workbench, a Debian of its own. The host needs Python, root, and mmdebstrap or apt-get to
have it.
"""

import argparse
import os
import subprocess
import sys
import time

from imaging import REPOSITORY
from imaging.debian_root import VENV_PYTHON
from imaging.workbench import WORKBENCH

_INSIDE = "/missed-moment"
_WRITABLE = (".cache", "dist")


def main() -> int:
    """Do what the arguments say; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make image", description=__doc__)
    parser.add_argument("--base", choices=("raspios", "debian"), default="raspios", help="what the image is made of")
    parser.add_argument("--pi-gen", action="store_true", help="have pi-gen run the stages of the stand-in, too")
    parser.add_argument("--fresh", action="store_true", help="use nothing of what was made before")
    said = parser.parse_args()
    if why := WORKBENCH.missing():
        sys.exit(f"no image is built: {why}")
    for place in _WRITABLE:
        (REPOSITORY / place).mkdir(exist_ok=True)
    options = [f"--base={said.base}", *(["--pi-gen"] if said.pi_gen else []), *(["--fresh"] if said.fresh else [])]
    return WORKBENCH.run(
        [VENV_PYTHON, "-m", "imaging.making", *options],
        binds={REPOSITORY: _INSIDE},
        writable={REPOSITORY / place: f"{_INSIDE}/{place}" for place in _WRITABLE},
        env={
            "PYTHONPATH": f"{_INSIDE}/image",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or _as_of(),
            **{name: os.environ[name] for name in ("PI_GEN", "TERM", "COLUMNS") if name in os.environ},
        },
        cwd=_INSIDE,
        online=True,
        check=False,
    ).returncode


def _as_of() -> str:
    """Return the time of the last commit, as Unix time: what is made of the same sources is equally old."""
    asked = ("git", "-C", str(REPOSITORY), "log", "-1", "--format=%ct")
    said = subprocess.run(asked, check=False, capture_output=True, text=True)
    return said.stdout.strip() or str(int(time.time()))


if __name__ == "__main__":
    sys.exit(main())
