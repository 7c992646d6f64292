"""The device's Python, with Debian's own libraries and with the newest."""

from imaging import PROJECT
from imaging.debian_root import DebianRoot, venv

PACKAGES = (
    "python3-av",
    "python3-click",
    "python3-gpiozero",
    "python3-jinja2",
    "python3-numpy",
    "python3-pydantic",
    "python3-pyudev",
    "python3-rich",
    "python3-hypothesis",
    "python3-pytest",
    "python3-pytest-timeout",
    "python3-pytest-xdist",
    "dosfstools",
    "e2fsprogs",
    "exfatprogs",
    "ntfs-3g",
    "tzdata",
    "util-linux-extra",
)
"""What the Python project and its tests depend on, as Debian has it."""

TRIXIE = DebianRoot(name="trixie", suite="trixie", packages=PACKAGES)
"""What the device runs on: its Python and its libraries."""

_TEST_REQUIREMENTS = PROJECT / "requirements" / "test.txt"

TRIXIE_NEWEST = DebianRoot(
    name="trixie-newest",
    suite="trixie",
    packages=("python3-venv", "ca-certificates", "tzdata", "util-linux-extra"),
    inputs=(_TEST_REQUIREMENTS,),
    setup=venv(_TEST_REQUIREMENTS),
)
"""The device's Python with the newest libraries, in a virtual environment."""
