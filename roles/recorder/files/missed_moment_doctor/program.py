"""The command line: which checks belong to this device, and what each of them found."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from missed_moment_doctor.device import Broken, Device
from missed_moment_doctor.expectations import demanded, network_is_on, observed, recorded
from missed_moment_doctor.facets import Facet
from missed_moment_doctor.installed import INSTALLED
from missed_moment_doctor.kernel import KERNEL
from missed_moment_doctor.running import RUNNING

_MOST = 100
"""An exit status counts failures up to here; what is above 125 has other meanings to shells."""
_TROUBLE = (Broken, OSError, KeyError, ValueError, IndexError, TypeError, subprocess.TimeoutExpired)
_REPAIR = "Run site.yml again, all of it; if that changes nothing, report this line."
_REPAIRS = {
    "store_and_settings_are_good": "`missed-moment check` as root lists what is bad; mend missed-moment.toml.",
    "system_is_running": "`systemctl status` and `journalctl -b -u UNIT` show why a unit failed.",
    "recorder_runs_since_it_was_started": "`journalctl -b -u missed-moment` shows why it ended.",
    "recorder_answers": "`missed-moment status` explains each fault; docs/how-to/troubleshooting.md lists them.",
    "network_matches_its_setting": "Restart the Pi: a changed setting is in force from then on.",
    "kernel_is_whole": "`journalctl -k` shows the warning.",
    "mounts_are_read_only": "Restart the Pi: maintenance ends with it.",
    "watchdog_is_fed": "Restart the Pi; `dtparam=watchdog=on` in config.txt is in force from then on.",
}


@dataclass(frozen=True)
class Check:
    """One check, and the facets without which it is left out."""

    look: Callable[[Device], None]
    needs: frozenset[Facet]

    @property
    def name(self) -> str:
        """What it is called in the output."""
        return self.look.__name__

    def problem(self, device: Device) -> str | None:
        """Return what is wrong and what to do, in one line; None if nothing is."""
        try:
            self.look(device)
        except Broken as found:
            return f"{_line(str(found))}. {self._repair}"
        except _TROUBLE as found:
            return f"{type(found).__name__}: {_line(str(found))}. {self._repair}"
        return None

    @property
    def _repair(self) -> str:
        return _REPAIRS.get(self.name, _REPAIR)


def _checks() -> Iterator[Check]:
    for table, common in (
        (INSTALLED, ()),
        (RUNNING, (Facet.BOOTED,)),
        (KERNEL, (Facet.BOOTED, Facet.OWN_KERNEL)),
    ):
        yield from (Check(look, frozenset((*common, *needs))) for look, needs in table)


CHECKS = tuple(_checks())
"""All of them, in the order in which they run."""


def examine(device: Device, only: Collection[str] = ()) -> Iterator[tuple[Check, str | None]]:
    """Run each check that belongs to the device, or `only` some of these; yields it and its problem, if it has one."""
    for check in CHECKS:
        if check.needs <= device.expected and (not only or check.name in only):
            yield check, check.problem(device)


def is_there(device: Device) -> Iterable[str]:
    """Yield a problem for each demanded facet that only the machine itself can have, and has not."""
    for facet in sorted(device.expected & {Facet.BOOTED, Facet.OWN_KERNEL, Facet.RASPBERRY_PI} - observed(device)):
        yield f"this device is not {facet}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check this machine; returns how many checks failed."""
    options = _parser().parse_args(arguments)
    if os.geteuid() != 0:
        sys.exit("Only root can check everything: run `sudo missed-moment-doctor`.")
    try:
        demand = _demand(options)
    except (Broken, OSError) as found:
        sys.exit(f"missed-moment-doctor: {found}")
    try:
        device = _device(demand, frozenset(options.fault))
    except (Broken, OSError, ValueError) as found:
        print(f"NOT ok expectations: {_line(str(found))}. {_REPAIR}", flush=True)
        return 1
    failed = 0
    for problem in is_there(device):
        failed += 1
        print(f"NOT ok expectations: {problem}", flush=True)
    for check, found_ in examine(device, options.check):
        failed += found_ is not None
        print(f"ok {check.name}" if found_ is None else f"NOT ok {check.name}: {found_}", flush=True)
    for check in CHECKS:
        if not check.needs <= device.expected and (not options.check or check.name in options.check):
            print(f"not for this device: {check.name}, which needs {', '.join(sorted(check.needs - device.expected))}")
    print(f"{failed} failed", flush=True)
    return min(failed, _MOST)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="missed-moment-doctor",
        description="Check this device against what the playbook was asked to make of it. Nothing is changed.",
        epilog="The exit status is the number of failed checks.",
    )
    parser.add_argument(
        "--expect",
        action="append",
        metavar="FACETS",
        help=f"what the device must be, instead of what the playbook has recorded; any of {', '.join(Facet)}",
    )
    parser.add_argument("--expect-file", action="append", type=Path, metavar="FILE", help="a file of such facets")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="a fault that is expected")
    parser.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="NAME",
        choices=[check.name for check in CHECKS],
        help="only this",
    )
    return parser


def _demand(options: argparse.Namespace) -> frozenset[Facet] | None:
    """Return what the command line demands; None if the playbook's own record counts. Raises Broken, OSError."""
    if options.expect is None and options.expect_file is None:
        return None
    words = list(options.expect or ())
    for file in options.expect_file or ():
        words += file.read_text().split()
    return demanded(words)


def _device(demand: frozenset[Facet] | None, faults: frozenset[str]) -> Device:
    device = Device()
    if demand is None:
        demand = recorded(device)
        if Facet.NO_NETWORK in demand and network_is_on(device):
            demand |= {Facet.NETWORK_ON}
    return Device(expected=demand | observed(device), faults=faults)


def _line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip()).rstrip(".")
