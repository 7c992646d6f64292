"""Build the image: `make image`, or `make image BASE=debian` for the stand-in.

All the work is done in the workbench, a Debian of its own. The host needs Python, root, and mmdebstrap or apt-get to
have it.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from imaging import PI_GEN_COPY, REPOSITORY
from imaging.debian_root import VENV_PYTHON
from imaging.workbench import WORKBENCH

_INSIDE = "/missed-moment"
_KEY_INSIDE = "/mnt/key"
_PI_GEN_INSIDE = "/mnt/pi-gen"
_WRITABLE = (".cache", "dist")


def main() -> int:
    """Do what the arguments say; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make image", description=__doc__)
    parser.add_argument("--base", choices=("raspios", "debian"), default="raspios", help="what the image is made of")
    parser.add_argument("--pi-gen", action="store_true", help="have pi-gen run the stages of the stand-in, too")
    parser.add_argument("--fresh", action="store_true", help="use nothing of what was made before")
    parser.add_argument("--release", action="store_true", help="gather what a release holds, too")
    parser.add_argument("--sources", action="store_true", help="fetch all source packages for the release, too")
    parser.add_argument("--url", default="", help="where the release will be found; without, there is no os_list.json")
    parser.add_argument("--key", type=Path, help="minisign's secret key; without, the sums are not signed")
    said = parser.parse_args()
    if why := WORKBENCH.missing():
        sys.exit(f"no image is built: {why}")
    if said.key and not said.key.is_file():
        sys.exit(f"no image is built: there is no key at {said.key}")
    pi_gen = os.environ.get(PI_GEN_COPY)
    if pi_gen and not Path(pi_gen).is_dir():
        sys.exit(f"no image is built: {PI_GEN_COPY} is to name a copy of pi-gen's repository, and {pi_gen} is none")
    for place in _WRITABLE:
        (REPOSITORY / place).mkdir(exist_ok=True)
    options = [f"--base={said.base}", f"--commit={_commit()}", f"--url={said.url}"]
    options += [
        f"--{flag.replace('_', '-')}" for flag in ("pi_gen", "fresh", "release", "sources") if getattr(said, flag)
    ]
    options += [f"--key={_KEY_INSIDE}"] if said.key else []
    lent = {Path(outside): inside for outside, inside in ((said.key, _KEY_INSIDE), (pi_gen, _PI_GEN_INSIDE)) if outside}
    return WORKBENCH.run(
        [VENV_PYTHON, "-m", "imaging.making", *options],
        binds={REPOSITORY: _INSIDE, **lent},
        writable={REPOSITORY / place: f"{_INSIDE}/{place}" for place in _WRITABLE},
        env={
            "PYTHONPATH": f"{_INSIDE}/image",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or _git("log", "-1", "--format=%ct"),
            **({PI_GEN_COPY: _PI_GEN_INSIDE} if pi_gen else {}),
            **{name: os.environ[name] for name in ("TERM", "COLUMNS") if name in os.environ},
        },
        cwd=_INSIDE,
        online=True,
        check=False,
    ).returncode


def _commit() -> str:
    """Return which commit it is made of, and whether that is all."""
    return _git("rev-parse", "HEAD") + ("-and-changes" if _git("status", "--porcelain") else "")


def _git(*command: str) -> str:
    asked = ("git", "-C", str(REPOSITORY), *command)
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
