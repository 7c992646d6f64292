"""What a machine needs of the host it runs on: tools from the host's own Debian or Ubuntu."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def missing(command: str) -> str | None:
    """Say why `command` cannot be had here; None where it is, or where `install` can fetch it."""
    if shutil.which(command) or (shutil.which("apt-get") and os.geteuid() == 0):
        return None
    return f"{command} is missing, and only root on Debian or Ubuntu gets it from apt-get"


def install(command: str, *packages: str) -> None:
    """See to it that the host has `command`, with `packages` from apt-get if it is not there.

    Nothing is said or done where it is. Raises CalledProcessError where apt-get fails, FileNotFoundError where
    there is none.
    """
    if shutil.which(command):
        return
    with (Path(tempfile.gettempdir()) / "missed-moment-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run side by side need the same things
        if shutil.which(command):
            return
        print(f"installing {', '.join(packages)} on this machine with apt-get", flush=True)
        apt = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "-qq", "update"], check=True, env=apt)
        subprocess.run(["apt-get", "-qq", "--no-install-recommends", "install", *packages], check=True, env=apt)
