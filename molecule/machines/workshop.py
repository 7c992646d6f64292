"""Where that is compiled which makes a PC's Debian a Raspberry Pi: pins, and the libraries that use them."""

from pathlib import Path

from imaging import PROJECT
from imaging.debian_root import DebianRoot

BOARD = Path(__file__).parent / "board"
"""The files that make a PC a Pi."""
PRODUCTS = "opt/board"
"""Below the workshop's root: what to lay over the device's."""

_MODULES = BOARD / "modules.sh"
_REQUIREMENTS = PROJECT / "requirements" / "board.txt"
_INTO = f"/{PRODUCTS}/usr/lib/modules/{{kernel}}/updates"
_PYTHON_INTO = f"/{PRODUCTS}/usr/local/lib/python3.13/dist-packages"
# Compiled with what Debian has, and lgpio whole, with its C library.
_PIP = ("env", "PYPI=1", "python3", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
_LOCKED = ("--no-deps", "--require-hashes", "--no-build-isolation", "--requirement", _REQUIREMENTS.name)


def workshop(kernel: str) -> DebianRoot:
    """Return the root with compilers for `kernel` (its whole version), which leaves the toolchain off the device.

    Building it fails where the archive has moved on to another kernel: then the device's root is to be made anew.
    """
    return DebianRoot(
        name="workshop",
        suite="trixie",
        packages=(
            "ca-certificates",
            "gcc",
            "libc6-dev",
            f"linux-headers-{kernel}",
            "linux-source-6.12",
            "make",
            "python3-dev",
            "python3-pip",
            "python3-setuptools",
            "swig",
            "xz-utils",
        ),
        inputs=(_MODULES, _REQUIREMENTS),
        setup=(
            ("sh", _MODULES.name, kernel, _INTO.format(kernel=kernel)),
            (*_PIP, *_LOCKED, "--target", _PYTHON_INTO),
        ),
    )
