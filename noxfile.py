"""What `make test`, `make prove` and `make bench` run, each in an environment of its own.

A session that this machine cannot run is skipped with its reason; nox lists all of them at the end. With
MISSED_MOMENT_ALL=1, such a session fails.
"""

import os
import shutil
import sys
from pathlib import Path

import nox

sys.path[:0] = [str(Path(__file__).parent / place) for place in ("image", "molecule")]

from imaging import debian_root, host
from imaging.workbench import WORKBENCH
from machines import flashed_card, nspawn, picamera2_rung, players, python_roots, virtual_device

nox.needs_version = ">=2025.5.1"
nox.options.reuse_venv = "yes"
# Beside these, `make test` runs `machine`. The rest of the matrix is run by `make prove`. `roles` waits for the disk
# that `machine` builds, and comes when that is long there.
nox.options.sessions = [
    "lint",
    "shell",
    "playbooks",
    "unit(pyav='newest')",
    "trixie(libraries='device')",
    "picamera2",
    "browser",
    "imaging",
    "roles",
]

PROJECT = Path("files/missed_moment")
REQUIREMENTS = PROJECT / "requirements"
DOCTOR = Path("roles/recorder/files")
NEWEST, DEVICE = "newest", "14.2"
SOURCE = {"PYTHONPATH": str((PROJECT / "src").absolute())}
IMAGING = {"PYTHONPATH": str(Path("image").absolute())}
ALL_SOURCES = {"PYTHONPATH": f"{IMAGING['PYTHONPATH']}:{SOURCE['PYTHONPATH']}:{(PROJECT / 'tests').absolute()}"}
MADE_FROM_THE_CODE = ("tools/settings_reference.py", "tools/led_card.py")
"""What writes pages of the manual, or says that they are not up to date."""
NO_EMPTY_TESTS = "--override-ini=empty_parameter_set_mark=fail_at_collect"
"""A test that is parametrized with nothing is an error, and not skipped."""
UNIT_TESTS = ("-m", "pytest", "--numprocesses", "4", "--quiet")


def install(session: nox.Session, *names: str) -> None:
    """Install locked requirements, and nothing that they do not lock."""
    for name in names:
        session.install("--require-hashes", "--no-deps", "--requirement", str(REQUIREMENTS / f"{name}.txt"))


def skip(session: nox.Session, reason: str) -> None:
    """End the session as skipped, or as failed if everything must run (MISSED_MOMENT_ALL=1)."""
    if os.environ.get("MISSED_MOMENT_ALL") == "1":
        session.error(f"MISSED_MOMENT_ALL=1 allows no skip: {reason}")
    session.skip(reason)


def in_workbench(session: nox.Session, *python: str) -> None:
    """Run Python where images are made."""
    if reason := WORKBENCH.missing():
        skip(session, reason)
    ran = WORKBENCH.run(
        [debian_root.VENV_PYTHON, *python],
        binds={Path.cwd(): "/missed-moment"},
        env={"PYTHONPATH": "image:image/tests", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/missed-moment",
        check=False,
    )
    if ran.returncode:
        session.error(f"failed in {WORKBENCH.path}")


@nox.session
def lint(session: nox.Session) -> None:
    """Style and types."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run(
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "molecule",
        "image",
        str(DOCTOR / "missed_moment_doctor"),
        env={"MYPYPATH": f"image:molecule:{DOCTOR}:{PROJECT / 'src'}:{PROJECT / 'tests'}"},
    )
    for page in MADE_FROM_THE_CODE:
        session.run("python", page, "--check", env=SOURCE)
    session.chdir(PROJECT)
    session.run("mypy")


@nox.session(venv_backend="none")
def shell(session: nox.Session) -> None:
    """What little is written in shell."""
    if reason := host.missing("shellcheck"):
        skip(session, reason)
    host.install("shellcheck", "shellcheck")
    scripts = session.run("git", "grep", "-lE", "^#!.*[/ ](ba)?sh$", silent=True)
    session.run("shellcheck", *str(scripts).split())


@nox.session
def playbooks(session: nox.Session) -> None:
    """Playbooks and roles: Ansible's own rules for production, all of them."""
    install(session, "ansible")
    session.run("yamllint", "--strict", ".")
    session.run("ansible-lint", "--strict", "--offline")


@nox.session(name="format")
def format_(session: nox.Session) -> None:
    """Format the code, and write the pages that are made from it."""
    install(session, "lint")
    for page in MADE_FROM_THE_CODE:
        session.run("python", page, env=SOURCE)
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


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
@nox.parametrize("libraries", ["device", "newest"])
def trixie(session: nox.Session, libraries: str) -> None:
    """Unit tests on the device's Python (Debian trixie): with Debian's own libraries, and with the newest."""
    root = {"device": python_roots.TRIXIE, "newest": python_roots.TRIXIE_NEWEST}[libraries]
    if reason := root.missing():
        skip(session, reason)
    python = debian_root.VENV_PYTHON if root is python_roots.TRIXIE_NEWEST else "python3"
    tests = root.run(
        [python, *UNIT_TESTS, "-p", "no:cacheprovider", *session.posargs],
        binds={Path.cwd(): "/missed-moment"},  # all of it: the manual is tested too
        cwd=f"/missed-moment/{PROJECT}",
        env={"PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/h"},  # noqa: S108 - in the root
        check=False,
    )
    if tests.returncode:
        session.error(f"failed in {root.path}")


@nox.session(venv_backend="none")
def picamera2(session: nox.Session) -> None:
    """Real picamera2 on real libcamera, recording into our ring: the newest, and the one of the board's archive."""
    if reason := picamera2_rung.SID.missing():
        skip(session, reason)
    if picamera2_rung.main(["--quiet", *session.posargs]):
        session.error("failed: see above")


@nox.session(venv_backend="none")
def imaging(session: nox.Session) -> None:
    """How images are made, with small ones: what is in which partition, the same bytes, what is left out."""
    in_workbench(session, "-m", "pytest", "-p", "no:cacheprovider", "--quiet", "image/tests", *session.posargs)


@nox.session
def roles(session: nox.Session) -> None:
    """The roles on a root that nothing runs in, where it was not proven yet; and on one that systemd has booted."""
    if reason := nspawn.missing():
        skip(session, reason)
    install(session, "ansible")
    with session.chdir("molecule"):
        session.run("python", "-m", "machines.disk", env=IMAGING)
    session.run("molecule", "test", "--all", "--no-command-borders", env=IMAGING)


@nox.session
def changes(session: nox.Session) -> None:
    """What a Pi was before and is after: uninstalled, each variable undone, a conversion interrupted at each change."""
    if reason := nspawn.missing():
        skip(session, reason)
    install(session, "ansible")
    session.chdir("molecule")
    session.run("python", "-m", "machines.uninstall", env=IMAGING)
    # After that, not beside it: there is one container at a time.
    session.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-v", "conversion", *session.posargs, env=IMAGING)


@nox.session
def machine(session: nox.Session) -> None:
    """Stories of a virtual device: what the roles make of a disk, booted, with a button, a camera and USB ports."""
    on_virtual_device(session, *(session.posargs or ("machines", "stories")))


@nox.session
def sensor(session: nox.Session) -> None:
    """Stories of a virtual device whose camera is on the board's connector: real picamera2 in the recorder's unit."""
    on_virtual_device(session, "sensor", *session.posargs)


def on_virtual_device(session: nox.Session, *tests: str) -> None:
    """Run tests that boot virtual devices."""
    if reason := virtual_device.missing():
        skip(session, reason)
    install(session, "test", "ansible")
    session.chdir("molecule")
    options = ("-m", "pytest", "-p", "no:cacheprovider", "-v", NO_EMPTY_TESTS)
    options += ("--timeout=900", "--durations=0", "--durations-min=5")
    session.run("python", *options, *tests, env=ALL_SOURCES)


@nox.session
def flashed(session: nox.Session) -> None:
    """Stories of a card with the stand-in image: what MISSED_MOMENT_IMAGE names, or one that is made for it."""
    if reason := flashed_card.missing():
        skip(session, reason)
    install(session, "test")
    image = os.environ.get("MISSED_MOMENT_IMAGE") or str(make_stand_in(session)[0])
    session.chdir("molecule")
    options = ("-m", "pytest", "-p", "no:cacheprovider", "-v", "-rA", "--durations=0")
    session.run("python", *options, "flashed", *session.posargs, env={**ALL_SOURCES, "MISSED_MOMENT_IMAGE": image})


@nox.session
def same_bytes(session: nox.Session) -> None:
    """The same sources make the same release: anew from what was fetched, from nothing, and by unmodified pi-gen."""
    if reason := WORKBENCH.missing():
        skip(session, reason)
    first = make_stand_in(session)[1].read_text()
    for manner in ("--fresh", "--pi-gen"):
        again = make_stand_in(session, manner)[1].read_text()
        if again != first:
            session.error(f"with {manner} it is\n{again}and was\n{first}")


def make_stand_in(session: nox.Session, *options: str) -> tuple[Path, Path]:
    """Make the stand-in; return where its image is, and where the sums of its release."""
    build = ("python3", "-m", "imaging.build", "--base=debian", "--release", *options)
    session.run(*build, env=IMAGING, external=True)
    (sums,) = Path("dist").absolute().glob("*-debian-stand-in/SHA256SUMS")
    return Path(f"{sums.parent}.img"), sums


@nox.session
def proofs(session: nox.Session) -> None:
    """What takes long to prove of the virtual device: sticks from strangers, power cuts, marks that must be nowhere."""
    session.notify("machine", posargs=("hostile", "proofs", "stories/test_replug.py", *session.posargs))


@nox.session(name="players")
def players_(session: nox.Session) -> None:
    """FFmpeg's player and GStreamer's find nothing to complain of."""
    if reason := players.PLAYERS.missing():
        skip(session, reason)
    install(session, "test")
    session.chdir("molecule")
    session.run("python", "-m", "pytest", "-p", "no:cacheprovider", "-v", "players", env=ALL_SOURCES)


@nox.session
def playground(session: nox.Session) -> None:
    """A virtual device to play with."""
    if reason := virtual_device.missing():
        skip(session, reason)
    install(session, "ansible")
    session.chdir("molecule")
    session.run("python", "-m", "machines.playground", env=IMAGING)


@nox.session
def browser(session: nox.Session) -> None:
    """Clips play in a real Chromium."""
    chromium = _chromium(session)
    install(session, "browser")
    session.chdir(PROJECT)
    session.run("python", "-m", "pytest", "--quiet", "tests/browser", env={"CHROMIUM": chromium})


@nox.session
def prove(session: nox.Session) -> None:
    """Prove what takes long: many kills and settings files, damaged lists, weeks of sound, disks that stand still."""
    install(session, "test")
    session.chdir(PROJECT)
    env = {
        "MISSED_MOMENT_KILLS": "201",
        "MISSED_MOMENT_SETTINGS": "10000",
        "MISSED_MOMENT_STICKS": "300000",
        "MISSED_MOMENT_SIGNALS": "1000",
        "MISSED_MOMENT_DAMAGES": "5000",
        "MISSED_MOMENT_FAULTS": "100000",
    }
    unit = [
        f"tests/unit/test_{name}.py"
        for name in ("kill", "any_settings", "any_stick", "signals", "damaged_clips", "scripted_day")
    ]
    session.run("python", "-m", "pytest", "-v", "--timeout=3600", *(session.posargs or (*unit, "tests/prove")), env=env)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure side by side with a plain write and with picamera2's own way."""
    install(session, "test", "picamera2")
    session.chdir(PROJECT)
    session.run("python", "benchmarks/bench.py", *session.posargs, env={"PYTHONPATH": "src:tests:benchmarks"})


@nox.session
def lock(session: nox.Session) -> None:
    """Lock all requirements anew. The resolver itself is not locked: it only writes what is reviewed."""
    session.install("uv")
    session.chdir(PROJECT)
    compile_ = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
                "--no-header", "--no-annotate", "--upgrade")  # fmt: skip
    sources = {"run": ["pyproject.toml"]}
    sources |= {group: ["pyproject.toml", "--group", group] for group in ("test", "lint", "browser")}
    sources |= {name: [f"requirements/{name}.in"] for name in ("device-av", "tools", "ansible", "build", "release")}
    for name in ("picamera2", "picamera2-archive"):
        sources[name] = [f"requirements/{name}.in", "--no-deps"]  # the rest is Debian's
    sources["board"] = ["requirements/board.in", "--no-deps"]
    for name, source in sources.items():
        session.run(*compile_, *source, "--output-file", f"requirements/{name}.txt")


def _chromium(session: nox.Session) -> str:
    """Return where Chromium is; installs it on Debian and Ubuntu as root, skips where it is not to be had."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if reason := host.missing("chromium"):
        skip(session, reason)
    host.install("chromium", "chromium")
    return shutil.which("chromium") or "chromium"
