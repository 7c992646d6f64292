"""The camera test: our recorder on real picamera2 and real libcamera, with libcamera's virtual camera.

In molecule/, as root: `python3 -m machines.picamera2_rung`; further arguments are pytest's. Only Debian sid
has a libcamera whose virtual camera works. No Debian has picamera2: it comes from PyPI, locked.
"""

import sys
from pathlib import Path

from imaging import PROJECT
from imaging.debian_root import VENV_PYTHON, DebianRoot, venv
from machines.python_roots import PACKAGES

_INSIDE = "/project"
_TESTS = Path("tests") / "camera"
_REQUIREMENTS = PROJECT / "requirements" / "picamera2.txt"

SID = DebianRoot(
    name="picamera2",
    suite="sid",
    packages=(
        *PACKAGES,
        "ca-certificates",
        "python3-libcamera",
        "python3-piexif",
        "python3-pil",
        "python3-prctl",
        "python3-venv",
    ),
    inputs=(_REQUIREMENTS, PROJECT / _TESTS / "virtual.yaml"),
    setup=(
        *venv(_REQUIREMENTS, site_packages=True),
        ("install", "-D", "-t", "/usr/share/libcamera/pipeline/virtual", "virtual.yaml"),
    ),
)
"""picamera2 and all it needs, with a virtual camera."""


def main(arguments: list[str]) -> int:
    """Run the tests; returns pytest's exit status. Exits where this machine cannot run them."""
    if why := SID.missing():
        sys.exit(f"the camera test is not run: {why}")
    # What picamera2 is built on is behind sid's Python: its deprecations are not what is tested.
    options = ("-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning")
    finished = SID.run(
        [VENV_PYTHON, "-m", "pytest", *options, _TESTS, *arguments],
        binds={PROJECT: _INSIDE},
        cwd=_INSIDE,
        env={"PYTHONPATH": f"{_INSIDE}/src"},
        check=False,
    )
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
