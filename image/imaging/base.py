"""Debian for arm64, in the place of what pi-gen's first stages make: the stand-in for Raspberry Pi OS."""

import os
import subprocess
from pathlib import Path

import yaml

from imaging import REPOSITORY

_PACKAGES = REPOSITORY / "image" / "packages.yml"
SUITE = "trixie"
_COMPONENTS = "main,non-free-firmware"
"""The second holds what a Raspberry Pi's own processors are started with."""
# The initial RAM disk is made at the end, once; emulated, it takes minutes.
_NOT_YET = {"INITRD": "No"}


def bootstrap(tar: Path) -> None:
    """Write the root file system to `tar`, with the host's network. Raises CalledProcessError."""
    part = tar.with_name(f"{tar.name}.part")
    packages = yaml.safe_load(_PACKAGES.read_text())["image_debian"]
    command = ("mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar", "--arch=arm64")
    chosen = (f"--components={_COMPONENTS}", f"--include={','.join(sorted(packages))}")
    subprocess.run([*command, *chosen, SUITE, part], check=True, env=os.environ | _NOT_YET)
    part.rename(tar)


def unpack(tar: Path, tree: Path) -> None:
    """Make `tree` anew of what is in `tar`. Raises CalledProcessError."""
    subprocess.run(["rm", "-rf", "--one-file-system", tree], check=True)
    tree.mkdir(parents=True)
    options = ("--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-permissions")
    subprocess.run(["tar", "--extract", *options, "--file", tar, "--directory", tree], check=True)
