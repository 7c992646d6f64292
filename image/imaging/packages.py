"""Which packages are on an image, and why each of them is."""

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import yaml
from debian.deb822 import Packages

from imaging import REPOSITORY

_ROLES = REPOSITORY / "roles"
_IMAGE = REPOSITORY / "image" / "packages.yml"
_LISTS = re.compile(r"__\w+_packages|image_packages|image_debian")
_BOARD_LISTS = re.compile(r"__\w+_board_packages")
_MINIMAL = "Debian's minimal system"


@dataclass(frozen=True)
class Package:
    """One that is installed: `size_kb` is what it takes, `why` is empty where nobody has given a reason."""

    name: str
    version: str
    size_kb: int
    why: str


def reasons(board: bool = True) -> dict[str, str]:
    """Return why each package is asked for: what the image and the roles say.

    Without `board`, those are left out that only the Raspberry Pi archive has.
    """
    said: dict[str, str] = {}
    for file in (_IMAGE, *sorted(_ROLES.glob("*/vars/main.yml"))):
        for name, value in yaml.safe_load(file.read_text()).items():
            if _LISTS.fullmatch(name) and isinstance(value, dict) and (board or not _BOARD_LISTS.fullmatch(name)):
                said |= value
    return said


def on(tree: Path) -> list[Package]:
    """Return what is installed in the root file system `tree`, by name."""
    with (tree / "var/lib/dpkg/status").open() as status:
        installed = {
            found["Package"]: found
            for found in Packages.iter_paragraphs(status, use_apt_pkg=False)
            if found["Status"].endswith(" installed")
        }
    asked, needed = reasons(), _needed_by(installed)

    def why(name: str) -> str:
        if name in asked:
            return asked[name]
        if installed[name].get("Essential") == "yes" or installed[name].get("Priority") == "required":
            return _MINIMAL
        return f"for {', '.join(sorted(needed[name]))}" if needed[name] else ""

    return [
        Package(name, found["Version"], int(found.get("Installed-Size", 0)), why(name))
        for name, found in sorted(installed.items())
    ]


def _needed_by(installed: dict[str, Packages]) -> dict[str, set[str]]:
    """Return for each package whose dependencies it is among, under its own name or one that it provides."""
    providers: dict[str, set[str]] = defaultdict(set)
    for name, found in installed.items():
        providers[name].add(name)
        for (provided,) in found.relations["provides"] or ():
            providers[provided["name"]].add(name)
    needed: dict[str, set[str]] = defaultdict(set)
    for name, found in installed.items():
        groups = [*(found.relations["pre-depends"] or ()), *(found.relations["depends"] or ())]
        for alternative in itertools.chain.from_iterable(groups):
            for provider in providers[alternative["name"]] - {name}:
                needed[provider].add(name)
    return needed
