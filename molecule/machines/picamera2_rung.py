"""The camera test: our recorder on real picamera2 and real libcamera, with libcamera's virtual camera.

In molecule/, as root: `python3 -m machines.picamera2_rung`; further arguments are pytest's. Only Debian sid
has a libcamera whose virtual camera works. No Debian has picamera2: it comes from PyPI, locked, in the newest version
and in the version of the board's archive.
"""

import sys
from pathlib import Path

from imaging import PROJECT
from imaging.debian_root import VENV_PYTHON, Command, DebianRoot, venv
from machines.python_roots import PACKAGES

_INSIDE = "/project"
_TESTS = Path("tests") / "camera"
_NEWEST = PROJECT / "requirements" / "picamera2.txt"
_ARCHIVE = PROJECT / "requirements" / "picamera2-archive.txt"
_ARCHIVE_INSIDE = "/opt/picamera2-archive"
_PICAMERA2 = {"newest": (), "archive": (_ARCHIVE_INSIDE,)}
"""The versions of picamera2 that the tests run with, and what has to be on Python's path for each."""


def _install_beside(requirements: Path, directory: str) -> tuple[Command, ...]:
    """Return the set-up command that installs locked requirements into a directory of their own."""
    pip = (VENV_PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
    return ((*pip, "--no-deps", "--require-hashes", "--target", directory, "--requirement", requirements.name),)


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
    inputs=(_NEWEST, _ARCHIVE, PROJECT / _TESTS / "virtual.yaml"),
    setup=(
        *venv(_NEWEST, site_packages=True),
        *_install_beside(_ARCHIVE, _ARCHIVE_INSIDE),
        ("install", "-D", "-t", "/usr/share/libcamera/pipeline/virtual", "virtual.yaml"),
    ),
)
"""picamera2 in both versions and all that it needs, with a virtual camera."""


def main(arguments: list[str]) -> int:
    """Run the tests with each version of picamera2; returns 0 if both passed. Exits if this machine cannot run them."""
    if why := SID.missing():
        sys.exit(f"the camera test is not run: {why}")
    return max(_run(version, arguments) for version in _PICAMERA2)


def _run(version: str, arguments: list[str]) -> int:
    print(f"picamera2: {version}", flush=True)
    # What picamera2 is built on is behind sid's Python: its deprecations are not what is tested.
    options = ("-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning")
    finished = SID.run(
        [VENV_PYTHON, "-m", "pytest", *options, _TESTS, *arguments],
        binds={PROJECT: _INSIDE},
        cwd=_INSIDE,
        env={"PYTHONPATH": ":".join([*_PICAMERA2[version], f"{_INSIDE}/src"]), "PICAMERA2": version},
        check=False,
    )
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
