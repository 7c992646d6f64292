#!/usr/bin/env python3
"""What a machine must be once site.yml was played on it, looked at with the machine's own eyes.

As root, on whatever it is: a Pi (`ssh pi sudo python3 - <molecule/oracle.py`), a container, a virtual machine, or a
chroot in which nothing runs; it needs nothing but Python 3.11. What must be is written down here once more and not
read from the roles: a slip in a role cannot excuse itself. Nothing is changed. The exit status is how many checks
failed.
"""

import json
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_USER = "missed-moment"
_RECORDER = "missed-moment.service"
_UNITS = Path("/etc/systemd/system")
_EXPORTER = _UNITS / "missed-moment-export@.service"
_SETTINGS = (Path("/boot/firmware/missed-moment.toml"), Path("/etc/missed-moment.toml"))
_EXPOSURE = {_RECORDER: 10, _EXPORTER.name: 20}
"""Tenths of what `systemd-analyze security` may call exposure: 0 is best, 100 worst."""
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SYSTEMD_COLORS": "0"}
_BOARD_S_DRIVERS = 1 << 10 | 1 << 12 | 1 << 13
"""Bits of /proc/sys/kernel/tainted: staging, out of tree, not signed (the kernel's tainted-kernels.rst)."""
_PATIENCE_S = 300.0


class Broken(Exception):  # noqa: N818 - it is what is said of the thing looked at
    """Something is not as it must be; the message says what was seen."""


def command_works() -> None:
    """The command is in the path and runs on Debian's own libraries."""
    said = _said("missed-moment", "--version")
    _must(re.search(r"\d+\.\d+", said) is not None, said)


def store_and_settings_are_good() -> None:
    """The recorder's own check, by its own user, finds nothing bad."""
    said = _said("runuser", "-u", _USER, "--", "missed-moment", "check")
    _must("all settings are good" in said, said)


def settings_file_explains_every_key() -> None:
    """Each of the recorder's keys is in the settings file. What is commented out is the default and may be used."""
    program = f"""
import re, sys, tomllib
from pathlib import Path
from missed_moment.config import Settings, parse
text = Path({str(_settings_file())!r}).read_text()
full = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.M)
problems = [*parse(text).problems, *parse(full).problems]
tables, chosen = tomllib.loads(full), tomllib.loads(text)
for name, table in Settings():
    there = tables.pop(name, {{}})
    if set(there) != set(type(table).model_fields):
        problems.append(f"[{{name}}] has {{sorted(there)}}")
    for key, default in table.model_dump().items():
        if key not in chosen.get(name, {{}}) and default is not None and there.get(key) != default:
            problems.append(f"{{name}}.{{key}} is {{default}} and not {{there.get(key)}}")
problems += [f"[{{name}}] is unknown" for name in tables]
sys.exit("; ".join(map(str, problems)) or None)
"""
    _said(str(Path("/usr/local/bin/missed-moment").readlink().with_name("python")), "-c", program)


def user_is_as_small_as_can_be() -> None:
    """The user may use devices and owns nothing else: no home, no shell, a group of its own."""
    user = pwd.getpwnam(_USER)
    _must((user.pw_dir, user.pw_shell) == ("/nonexistent", "/usr/sbin/nologin"), user)
    _must(user.pw_uid < 1000, user)
    groups = _said("id", "-nG", _USER).split()
    _must(groups[0] == _USER and {"audio", "video"} <= set(groups), groups)
    _must(not {"sudo", "adm", "root"} & set(groups), groups)


def moments_are_private() -> None:
    """Moments are for the recorder and the operators."""
    seen = _said("stat", "-c", "%U:%G %a %n", "/data", "/data/clips")
    _must(seen.splitlines() == ["root:root 755 /data", f"{_USER}:{_USER} 2770 /data/clips"], seen)


def rest_is_root_s() -> None:
    """What runs and what is set belongs to root, and nobody else can write to it."""
    places = [_settings_file(), *map(Path, ("/opt/missed-moment", "/usr/local/bin/missed-moment"))]
    places += [*_UNITS.glob("missed-moment*"), *Path("/etc").glob("*.d/*missed-moment*")]
    places += [*Path("/etc/systemd").glob("*.d/*missed-moment*"), *Path("/etc/udev/rules.d").glob("*missed-moment*")]
    others = ("(", "!", "-user", "root", "-o", "!", "-type", "l", "-perm", "/022", ")")
    stray = _said("find", *map(str, places), *others, "-printf", r"%u:%g %m %p\n")
    _must(not stray, stray)


def recorder_starts_at_boot() -> None:
    """The unit is enabled."""
    _said("systemctl", "is-enabled", _RECORDER)


def units_are_sound() -> None:
    """Systemd finds nothing to say about the units."""
    for unit in _units():
        said = _said("systemd-analyze", "verify", "--man=no", str(_UNITS / unit))
        _must(not said, said)


def units_are_locked_in() -> None:
    """The sandboxes are as tight as they were meant to be."""
    for unit in _units():
        _said("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={_EXPOSURE[unit]}", unit)


def rules_are_sound() -> None:
    """Udev understands the rules."""
    rules = sorted(map(str, Path("/etc/udev/rules.d").glob("*missed-moment*")))
    _said("udevadm", "verify", "--no-summary", *rules)


def system_is_running() -> None:
    """The system has come up, and no unit failed."""
    state = _said("systemctl", "is-system-running", "--wait", good=(0, 1)).strip()
    _must(state == "running", f"{state}: {_said('systemctl', 'list-units', '--failed', '--plain', '--no-legend')}")


def order_at_boot_is_clear() -> None:
    """Systemd had to leave out no job because of units that wait for each other."""
    lines = [line for line in _journal("_PID=1") if "ordering cycle" in line]
    _must(not lines, lines)


def recorder_runs_since_it_was_started() -> None:
    """The recorder is active, and has not ended by itself since it was told to start."""
    seen = _shown("ActiveState", "NRestarts")
    _must(seen == {"ActiveState": "active", "NRestarts": "0"}, f"{seen}: {_said('systemctl', 'status', _RECORDER)}")


def recorder_got_its_sandbox() -> None:
    """Systemd could give the recorder that runs now all that its unit asks for."""
    run = _shown("InvocationID")["InvocationID"]
    lines = _journal("_PID=1", f"INVOCATION_ID={run}", "--priority=warning")
    lines += [line for line in _journal(f"UNIT={_RECORDER}", f"INVOCATION_ID={run}") if "proceeding without" in line]
    _must(not lines, lines)


def recorder_can_do_nothing_else() -> None:
    """The recorder's process is not root's, has no rights, can get none, and leaves no core dump."""
    process = _process()
    wanted = {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    _must({name: status[name] for name in wanted} == wanted, status)
    _must(set(status["Uid"].split()) == {str(pwd.getpwnam(_USER).pw_uid)}, status["Uid"])
    core = re.search(r"^Max core file size +(\w+) +(\w+)", (process / "limits").read_text(), re.MULTILINE)
    _must(core is not None and core.groups() == ("0", "0"), core)


def recorder_reaches_no_network() -> None:
    """The recorder has a network of its own, with nothing in it but itself."""
    process = _process()
    _must((process / "ns/net").readlink() != Path("/proc/1/ns/net").readlink(), "it has the system's network")
    names = re.findall(r"^ *(\S+):", (process / "net/dev").read_text(), re.MULTILINE)
    _must(names == ["lo"], names)


def recorder_answers() -> None:
    """The recorder answers, films if there is a camera, and has no other fault than that there is none."""
    status = json.loads(_said("missed-moment", "status", "--json"))
    faults = set(status["faults"])
    if any(Path("/dev").glob("video*")):
        _must(not faults and status["state"] != "off", status)
    else:
        _must(faults == {"camera"} and status["state"] == "off", status)


def memory_stays_in_memory() -> None:
    """There is no swap to come, no core dump, no hibernation, and a journal that is gone with the power."""
    swap = [line for line in _fstab() if line[2] == "swap"]
    _must(not swap, swap)
    for unit in ("swap.target", "hibernate.target", "suspend.target", "systemd-coredump.socket"):
        _must(_is_masked(unit), unit)
    for name, key, value in (("journald.conf", "Storage", "volatile"), ("system.conf", "DefaultLimitCORE", "0")):
        said = _said("systemd-analyze", "cat-config", f"systemd/{name}")
        _must(re.findall(rf"^{key}=(\S+)", said, re.MULTILINE)[-1:] == [value], said)


def system_is_closed() -> None:
    """Where the system is read-only, so are all its own file systems, and what is kept has a place of its own."""
    lines = {line[1]: line for line in _fstab()}
    if "ro" not in lines.get("/", [""] * 4)[3].split(","):
        return
    for place in {"/", "/boot/firmware"} & lines.keys():
        _must("ro" in lines[place][3].split(","), lines[place])
    data = lines["/data"]
    _must({"nodev", "nosuid", "noexec", "noatime", "errors=remount-ro"} <= set(data[3].split(",")), data)
    _must(data[5] == "2", data)
    _must({lines[place][2] for place in ("/tmp", "/var/tmp", "/var/log")} == {"tmpfs"}, lines)  # noqa: S108
    _must("bind" in lines["/var/lib/systemd"][3].split(","), lines)
    _must(_is_masked("apt-daily.timer"), "apt-daily.timer")


CHECKS: tuple[Callable[[], None], ...] = (
    command_works,
    store_and_settings_are_good,
    settings_file_explains_every_key,
    user_is_as_small_as_can_be,
    moments_are_private,
    rest_is_root_s,
    recorder_starts_at_boot,
    units_are_sound,
    units_are_locked_in,
    rules_are_sound,
    memory_stays_in_memory,
    system_is_closed,
)
"""Of any machine."""


def memory_is_locked() -> None:
    """The recorder's memory cannot be swapped out, and nothing is there to swap it to."""
    (locked,) = re.findall(r"^VmLck:\s+(\d+) kB", (_process() / "status").read_text(), re.MULTILINE)
    _must(int(locked) > 10_000, f"{locked} kB are locked")
    swaps = Path("/proc/swaps").read_text()
    _must(len(swaps.splitlines()) <= 1, swaps)


def forgotten_is_gone() -> None:
    """What the recorder frees is written over."""
    environment = (_process() / "environ").read_bytes().decode().split("\0")
    _must("PYTHONMALLOC=malloc" in environment, environment)
    _must(any("malloc.perturb=90" in line and "tcache_count=0" in line for line in environment), environment)


def kernel_is_as_it_must_be() -> None:
    """What the roles ask of the kernel, it does."""
    for name, value in (
        ("core_pattern", "|/bin/false"),
        ("kexec_load_disabled", "1"),
        ("panic", "10"),
        ("sysrq", "0"),
        ("dmesg_restrict", "1"),
    ):
        seen = Path("/proc/sys/kernel", name).read_text().strip()
        _must(seen == value, f"kernel.{name} = {seen}")
    admission = "usbcore.authorized_default=0" in Path("/proc/cmdline").read_text().split()
    admits = Path("/sys/module/usbcore/parameters/authorized_default").read_text().strip()
    _must(not admission or admits == "0", admits)


def kernel_is_whole() -> None:
    """Nothing has gone wrong in the kernel. That drivers come from elsewhere, or are not finished, is the board's."""
    tainted = int(Path("/proc/sys/kernel/tainted").read_text())
    _must(not tainted & ~_BOARD_S_DRIVERS, f"tainted: {tainted}")


def watchdog_is_fed() -> None:
    """Systemd keeps the hardware's watchdog from starting the machine anew."""
    if Path("/dev/watchdog0").exists():
        seen = _said("systemctl", "show", "--property=RuntimeWatchdogUSec,WatchdogDevice").split()
        _must("RuntimeWatchdogUSec=14s" in seen, seen)
        _must(any(line.startswith("WatchdogDevice=/dev/watchdog") for line in seen), seen)


def closed_places_are_closed() -> None:
    """What fstab says to be read-only is so, and what is kept lies where it says."""
    mounted = {
        place["target"]: place["options"].split(",")
        for place in json.loads(_said("findmnt", "--json", "--list", "--output=TARGET,OPTIONS"))["filesystems"]
    }
    for line in _fstab():
        if line[1] in mounted and "ro" in line[3].split(","):
            _must("ro" in mounted[line[1]], f"{line[1]}: {mounted[line[1]]}")
        if line[1] == "/data":
            _must({"rw", "nodev", "nosuid", "noexec"} <= set(mounted["/data"]), mounted)


def nothing_listens() -> None:
    """Where the network is the owner's to turn on, and is off: no way in, no address to come to."""
    if not (_UNITS / "missed-moment-network.target").exists():
        return
    if _said("systemctl", "is-active", "missed-moment-network.target", good=(0, 3)).strip() == "active":
        return
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet"):
        path = Path("/proc/net", name)
        sockets = path.read_text().splitlines()[1:] if path.exists() else []
        _must(not sockets, f"{name}: {sockets}")
    up = [
        path.parent.name
        for path in Path("/sys/class/net").glob("*/flags")
        if int(path.read_text(), 16) & 1 and path.parent.name != "lo"
    ]
    _must(not up, f"network interfaces are up: {up}")


CHECKS_WHERE_SYSTEMD_RUNS: tuple[Callable[[], None], ...] = (
    system_is_running,
    order_at_boot_is_clear,
    recorder_runs_since_it_was_started,
    recorder_got_its_sandbox,
    recorder_can_do_nothing_else,
    recorder_reaches_no_network,
    forgotten_is_gone,
    closed_places_are_closed,
    nothing_listens,
    recorder_answers,
)
"""In this order: the first waits until the system has come up."""

CHECKS_WHERE_THE_KERNEL_IS_ITS_OWN: tuple[Callable[[], None], ...] = (
    memory_is_locked,
    kernel_is_as_it_must_be,
    kernel_is_whole,
    watchdog_is_fed,
)
"""A container's kernel is somebody else's, and it has only as much memory to lock as it was given."""


def _must(good: bool, seen: object) -> None:
    if not good:
        raise Broken(str(seen))


def _said(*command: str, good: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        command,
        env=_ENVIRONMENT,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_PATIENCE_S,
    )
    _must(done.returncode in good, f"exit status {done.returncode} from {' '.join(command)}\n{done.stdout}")
    return done.stdout


def _fstab() -> list[list[str]]:
    """Return the fields of each entry: what, where, kind, options, dump, pass."""
    lines = Path("/etc/fstab").read_text().splitlines()
    return [[*line.split(), "0", "0"][:6] for line in lines if line.strip() and not line.startswith("#")]


def _is_masked(unit: str) -> bool:
    path = _UNITS / unit
    return path.is_symlink() and str(path.readlink()) == "/dev/null"


def _settings_file() -> Path:
    return next(path for path in _SETTINGS if path.parent.is_dir())


def _units() -> Iterator[str]:
    yield _RECORDER
    if _EXPORTER.exists():
        yield _EXPORTER.name


def _journal(*options: str) -> list[str]:
    return _said("journalctl", "--boot", "--quiet", "--no-pager", "--output=cat", *options).splitlines()


def _shown(*properties: str) -> dict[str, str]:
    said = _said("systemctl", "show", f"--property={','.join(properties)}", _RECORDER)
    return dict(line.split("=", 1) for line in said.splitlines())


def _process() -> Path:
    return Path("/proc", _shown("MainPID")["MainPID"])


def main() -> int:
    """Run all checks that this machine allows; returns how many failed."""
    if os.geteuid() != 0:
        sys.exit("only root can look at everything")
    checks = CHECKS
    if Path("/run/systemd/system").is_dir():  # as sd_booted(3) does
        checks += CHECKS_WHERE_SYSTEMD_RUNS
        if not Path("/run/systemd/container").exists():
            checks += CHECKS_WHERE_THE_KERNEL_IS_ITS_OWN
    failed = 0
    for check in checks:
        try:
            check()
        except (Broken, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as seen:
            failed += 1
            print(f"FAIL {check.__name__}: {type(seen).__name__}: {seen}", flush=True)
        else:
            print(f"ok {check.__name__}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
