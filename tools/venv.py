"""Make a virtual environment from locked requirements: `venv.py DIRECTORY REQUIREMENTS`.

Standard library only, because nothing else is there yet. Debian and Ubuntu ship Python without the module that
venv needs; root may install it, anyone else is told how.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

LEAST_PYTHON = (3, 11)


def main(directory: Path, requirements: Path) -> None:
    """Create `directory` anew and install what `requirements` lock."""
    if sys.version_info < LEAST_PYTHON:
        sys.exit(f"Python {sys.version.split()[0]} is too old: {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or newer is needed; "
                 "name one with PYTHON=python3.11")  # fmt: skip
    if importlib.util.find_spec("ensurepip") is None:
        _install_venv_module()
    print(f"setting up {directory} from {requirements} (only inside this directory)", flush=True)
    shutil.rmtree(directory, ignore_errors=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        pip = [directory / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--require-hashes", "--no-deps", "--requirement", requirements], check=True)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(directory, ignore_errors=True)
        sys.exit(f"{directory} could not be set up (exit code {error.returncode}): see above; is the network there?")
    directory.touch()  # newer than its requirements, for make


def _install_venv_module() -> None:
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"this Python cannot make virtual environments: `sudo apt-get install {package}`, then try again")
    print(f"installing {package} with apt-get", flush=True)
    subprocess.run(["apt-get", "-qq", "update"], check=True)
    subprocess.run(["apt-get", "-qq", "install", package], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
