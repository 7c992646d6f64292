"""The device under examination: its files below a root directory, and the commands that run on it."""

import contextlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from missed_moment_doctor.facets import Facet

USER = "missed-moment"
RECORDER = "missed-moment.service"
EXPORTER = "missed-moment-export@.service"
UNITS = "/etc/systemd/system"
CMDLINE = "/boot/firmware/cmdline.txt"
_SETTINGS = ("/boot/firmware/missed-moment.toml", "/etc/missed-moment.toml")
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SYSTEMD_COLORS": "0"}
_PATIENCE_S = 300.0


class Broken(Exception):  # noqa: N818 - it is what is said of the thing looked at
    """A check has failed; the message is what was found."""


class Runner(Protocol):
    """Runs a command; returns its exit status, and its standard output and error together."""

    def __call__(self, command: Sequence[str], /) -> tuple[int, str]:
        """Run `command`. Raises OSError or subprocess.TimeoutExpired if it cannot be run to its end."""


def run_command(command: Sequence[str], /) -> tuple[int, str]:
    """Run a command on this machine, with a fixed environment and an empty standard input."""
    done = subprocess.run(
        command,
        env=_ENVIRONMENT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_PATIENCE_S,
    )
    return done.returncode, done.stdout


class Device:
    """A device as its files and its commands show it. Paths are absolute, as on the device."""

    def __init__(
        self,
        root: Path = Path("/"),
        runner: Runner = run_command,
        expected: frozenset[Facet] = frozenset(),
        faults: frozenset[str] = frozenset(),
    ) -> None:
        """Examine the files below `root` and what `runner` answers; a test replaces both.

        `expected` is what the device must be, `faults` are those that its recorder must report, and no others.
        """
        self._root = root
        self._runner = runner
        self.expected = expected
        self.faults = faults

    def path(self, absolute: str) -> Path:
        """Return where a file of the device is for this process."""
        return self._root / absolute.lstrip("/")

    def read(self, absolute: str) -> str:
        """Return a file's text. Raises OSError."""
        return self.path(absolute).read_text()

    def exists(self, absolute: str) -> bool:
        """Return whether a file is there; a link counts wherever it leads."""
        path = self.path(absolute)
        return path.exists() or path.is_symlink()

    def find(self, directory: str, pattern: str) -> list[str]:
        """Return the absolute paths in a directory whose names match, sorted; none if it is absent."""
        place = self.path(directory)
        return sorted(f"{directory}/{found.relative_to(place)}" for found in place.glob(pattern))

    def run(self, *command: str, good: tuple[int, ...] = (0,)) -> str:
        """Run a command and return its output. Raises Broken if its exit status is not one of `good`."""
        status, output = self._runner(command)
        must(status in good, f"`{' '.join(command)}` ended with exit status {status}: {output.strip()}")
        return output

    def is_masked(self, unit: str) -> bool:
        """Return whether a unit is a link to /dev/null, or one more name of such a unit."""
        path = self.path(f"{UNITS}/{unit}")
        if not path.is_symlink():
            return False
        target = path.readlink()
        return str(target) == "/dev/null" or (target.name not in {unit, "null"} and self.is_masked(target.name))

    def fstab(self) -> dict[str, list[str]]:
        """Return the fields of each entry by its mount point; entries for swap are listed by their device."""
        lines = [line for line in self.read("/etc/fstab").splitlines() if line.strip() and not line.startswith("#")]
        entries = [[*line.split(), "0", "0"][:6] for line in lines]
        return {entry[0 if entry[2] == "swap" else 1]: entry for entry in entries}

    def settings_file(self) -> str:
        """Return where the owner's settings are: on the boot partition if the device has one."""
        boot, system = _SETTINGS
        return boot if self.path(boot).parent.is_dir() else system

    def units(self) -> list[str]:
        """Return the names of our services that run programs of ours; the recorder's is one, installed or not."""
        return [RECORDER, *([EXPORTER] if self.exists(f"{UNITS}/{EXPORTER}") else [])]

    def python(self) -> str:
        """Return the interpreter that runs the recorder."""
        return str(self.path("/usr/local/bin/missed-moment").readlink().with_name("python"))

    def journal(self, *options: str) -> list[str]:
        """Return the messages of this boot that match."""
        return self.run("journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", *options).splitlines()

    def shown(self, *properties: str, unit: str = RECORDER) -> dict[str, str]:
        """Return properties of a unit, as systemd holds them."""
        output = self.run("systemctl", "show", f"--property={','.join(properties)}", unit)
        return dict(line.split("=", 1) for line in output.splitlines())

    def recorder_process(self) -> str:
        """Return the directory of the recorder's process below /proc."""
        pid = self.shown("MainPID")["MainPID"]
        must(pid != "0", f"{RECORDER} does not run")
        return f"/proc/{pid}"

    def names_of_processes(self) -> set[str]:
        """Return the names of the running processes; one that ends meanwhile is left out."""
        names = set()
        for path in self.find("/proc", "[0-9]*/comm"):
            with contextlib.suppress(OSError):
                names.add(self.read(path).strip())
        return names

    def configured(self, file: str, key: str) -> str | None:
        """Return the value that systemd takes for a key of one of its own files, with all drop-ins."""
        output = self.run("systemd-analyze", "cat-config", f"systemd/{file}")
        values = re.findall(rf"^{key}=(\S+)", output, re.MULTILINE)
        return values[-1] if values else None


def must(good: bool, found: object) -> None:
    """Raise Broken with what was found unless it is `good`."""
    if not good:
        raise Broken(str(found))
