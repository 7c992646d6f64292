"""What `make test`, `make prove` and `make bench` run, each in an environment of its own.

A session that this machine cannot run is skipped with its reason; nox lists all of them at the end.
"""

import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "molecule"))

from machines import debian_root, picamera2_rung  # noqa: E402 - lies beside the machines it builds

nox.needs_version = ">=2025.5.1"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "unit", "trixie", "picamera2", "browser"]

PROJECT = Path("files/missed_moment")
REQUIREMENTS = PROJECT / "requirements"
NEWEST, DEVICE = "newest", "14.2"
UNIT_TESTS = ("-m", "pytest", "--numprocesses", "4", "--quiet")


def install(session: nox.Session, *names: str) -> None:
    """Install locked requirements, and nothing that they do not lock."""
    for name in names:
        session.install("--require-hashes", "--no-deps", "--requirement", str(REQUIREMENTS / f"{name}.txt"))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, and playbooks once there are some."""
    install(session, "lint")
    session.run("ruff", "check", "--config", PROJECT / "pyproject.toml", ".")
    session.run("ruff", "format", "--check", "--config", PROJECT / "pyproject.toml", ".")
    session.chdir(PROJECT)
    session.run("mypy")


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Format the code."""
    install(session, "lint")
    session.run("ruff", "check", "--fix", "--config", PROJECT / "pyproject.toml", ".")
    session.run("ruff", "format", "--config", PROJECT / "pyproject.toml", ".")


@nox.session
@nox.parametrize("pyav", [NEWEST, DEVICE])
def unit(session: nox.Session, pyav: str) -> None:
    """Unit tests on this machine's Python, with the newest PyAV and with the device's."""
    install(session, "test")
    if pyav == DEVICE:
        install(session, "device-av")
    session.chdir(PROJECT)
    session.run("python", *UNIT_TESTS, *session.posargs)


@nox.session(venv_backend="none")
@nox.parametrize("pyav", [DEVICE, NEWEST])
def trixie(session: nox.Session, pyav: str) -> None:
    """Unit tests on what the device runs on: Debian trixie's own Python and libraries; then with the newest PyAV."""
    root = debian_root.TRIXIE if pyav == DEVICE else debian_root.TRIXIE_NEWEST_PYAV
    if reason := root.missing():
        session.skip(reason)
    root.run(
        [debian_root.python_of(root), *UNIT_TESTS, "-p", "no:cacheprovider", *session.posargs],
        binds={PROJECT.absolute(): "/project"},
        cwd="/project",
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )
