"""Debian for arm64, in the place of what pi-gen's first stages make: the stand-in for Raspberry Pi OS."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

from imaging import packages
from imaging.debian_root import remove_tree

SUITE = "trixie"
_COMPONENTS = "main,non-free-firmware"
"""The second holds what a Raspberry Pi's own processors are started with."""
# The initial RAM disk is made at the end, once; emulated, it takes minutes.
_NOT_YET = {"INITRD": "No"}


def bootstrap(place: Path, fresh: bool) -> Path:
    """Return a root file system as a tar archive in `place`: the one that is there, unless it is to be fresh.

    Emulated, packages take long to install. So all are in it already that the playbook will ask for. It is fetched with
    the host's network. Raises CalledProcessError.
    """
    command = _command()
    tar = place / f"debian-{hashlib.sha256(json.dumps(command).encode()).hexdigest()[:12]}.tar"
    if fresh or not tar.exists():
        for former in place.glob("debian-*.tar*"):
            former.unlink()
        part = tar.with_name(f"{tar.name}.part")
        subprocess.run([*command, part], check=True, env=os.environ | _NOT_YET)
        part.rename(tar)
    return tar


def _command() -> list[str]:
    include = f"--include={','.join(sorted(packages.reasons(board=False)))}"
    options = ["--mode=root", "--variant=minbase", "--format=tar", "--arch=arm64", f"--components={_COMPONENTS}"]
    return ["mmdebstrap", *options, include, SUITE]


def unpack(tar: Path, tree: Path) -> None:
    """Make `tree` anew of what is in `tar`; all of it is as young as the tree. Raises CalledProcessError.

    Then the initial RAM disk and the card, in which nothing is younger than SOURCE_DATE_EPOCH, are the same whenever
    `tar` was made.
    """
    remove_tree(tree)
    tree.mkdir(parents=True)
    options = ("--numeric-owner", "--xattrs", "--xattrs-include=*", "--same-permissions", "--touch")
    subprocess.run(["tar", "--extract", *options, "--file", tar, "--directory", tree], check=True)
