"""Checks of a booted system: systemd runs, as in a container or on a board."""

import json
import re

from missed_moment_doctor.device import RECORDER, USER, Device, must
from missed_moment_doctor.expectations import network_is_on
from missed_moment_doctor.facets import Facet

_NETWORK = "missed-moment-network.target"
_SOCKETS = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet")
_ALWAYS_THERE = ("tcp", "udp")
"""The kernel's tables of sockets that are never missing; the others depend on modules."""
_ASKING_TO_LOG_IN = {"agetty", "getty", "login"}


def system_is_running(device: Device) -> None:
    """The system has come up, and no unit failed."""
    state = device.run("systemctl", "is-system-running", "--wait", good=(0, 1)).strip()
    failed = device.run("systemctl", "list-units", "--failed", "--plain", "--no-legend").strip()
    must(state == "running" and not failed, f"{state}: {failed}")


def order_at_boot_is_clear(device: Device) -> None:
    """No job was left out at boot because units wait for each other."""
    lines = [line for line in device.journal("_PID=1") if "ordering cycle" in line]
    must(not lines, lines)


def recorder_runs_since_it_was_started(device: Device) -> None:
    """The recorder is active, and has not ended by itself since it was started."""
    found = device.shown("ActiveState", "NRestarts")
    must(found == {"ActiveState": "active", "NRestarts": "0"}, found)


def recorder_got_its_sandbox(device: Device) -> None:
    """Systemd could give the running recorder all that its unit asks for."""
    run = device.shown("InvocationID")["InvocationID"]
    must(bool(run), "the recorder was never started")
    lines = device.journal("_PID=1", f"INVOCATION_ID={run}", "--priority=warning")
    lines += [
        line for line in device.journal(f"UNIT={RECORDER}", f"INVOCATION_ID={run}") if "proceeding without" in line
    ]
    must(not lines, lines)


def recorder_can_do_nothing_else(device: Device) -> None:
    """The recorder's process is not root's, has no rights, can get none, and leaves no core dump."""
    process = device.recorder_process()
    wanted = {"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}
    status = dict(line.split(":\t", 1) for line in device.read(f"{process}/status").splitlines())
    found = {name: status.get(name) for name in wanted}
    must(found == wanted, f"{found}, not {wanted}")
    uid = device.run("id", "-u", USER).strip()
    must(set(status["Uid"].split()) == {uid}, f"it runs as {status['Uid'].split()}, not as {uid}")
    core = re.search(r"^Max core file size +(\w+) +(\w+)", device.read(f"{process}/limits"), re.MULTILINE)
    must(core is not None and core.groups() == ("0", "0"), core)


def recorder_reaches_no_network(device: Device) -> None:
    """The recorder has a network of its own, with nothing in it but itself."""
    process = device.recorder_process()
    own, system = (device.path(f"{of}/ns/net").readlink() for of in (process, "/proc/1"))
    must(own != system, "it has the system's network")
    names = re.findall(r"^ *(\S+):", device.read(f"{process}/net/dev"), re.MULTILINE)
    must(names == ["lo"], f"it sees {names}")


def recorder_reaches_no_daemon(device: Device) -> None:
    """The recorder sees no socket in /run but its own, systemd's for its health, and udev's, which are root's alone."""
    run = f"{device.recorder_process()}/root/run"
    own = (f"{run}/missed-moment/", f"{run}/systemd/notify", f"{run}/udev/")
    found = [path for path in device.find(run, "**/*") if device.path(path).is_socket() and not path.startswith(own)]
    must(not found, f"it sees {found}")


def forgotten_is_gone(device: Device) -> None:
    """What the recorder frees is written over."""
    environment = device.read(f"{device.recorder_process()}/environ").split("\0")
    must("PYTHONMALLOC=malloc" in environment, "PYTHONMALLOC=malloc is missing")
    tunables = [line for line in environment if line.startswith("GLIBC_TUNABLES=")]
    must(any("malloc.perturb=90" in line and "malloc.tcache_count=0" in line for line in tunables), tunables)


def mounts_are_read_only(device: Device) -> None:
    """/ and /boot/firmware are mounted read-only, /data writable, and temporary files are in RAM."""
    output = device.run("findmnt", "--json", "--list", "--output=TARGET,SOURCE,FSTYPE,OPTIONS")
    mounts = {mount["target"]: mount for mount in json.loads(output)["filesystems"]}
    options = {place: set(mount["options"].split(",")) for place, mount in mounts.items()}
    for place, wanted in (
        ("/", {"ro"}),
        ("/boot/firmware", {"ro"}),
        ("/data", {"rw", "nodev", "nosuid", "noexec"}),
        ("/var/lib/systemd", {"rw"}),
    ):
        must(place in options, f"{place} is not mounted")
        must(wanted <= options[place], f"{place} is mounted {','.join(sorted(options[place]))}, not {sorted(wanted)}")
    for place in ("/tmp", "/var/tmp", "/var/log"):  # noqa: S108 - mount points
        must(place in mounts and mounts[place]["fstype"] == "tmpfs", f"{place} is not in RAM")
    state = mounts["/var/lib/systemd"]["source"]
    must(state.endswith("[/state/var/lib/systemd]"), f"/var/lib/systemd is {state}: the clock is not kept on /data")


def network_matches_its_setting(device: Device) -> None:
    """The network is on if and only if the owner's setting is."""
    wanted = Facet.NETWORK_ON in device.expected
    must(network_is_on(device) == wanted, f"network.enabled is {not wanted}")
    state = device.run("systemctl", "is-active", _NETWORK, good=(0, 3, 4)).strip()
    must((state == "active") == wanted, f"{_NETWORK} is {state}, and network.enabled is {wanted}")


def nothing_listens(device: Device) -> None:
    """While the network is off, no socket is open and no interface is up."""
    if Facet.NETWORK_ON in device.expected:
        return  # the check above has seen that the owner wants it
    for name in _SOCKETS:
        path = f"/proc/net/{name}"
        must(name not in _ALWAYS_THERE or device.exists(path), f"{path} is missing")
        sockets = device.read(path).splitlines()[1:] if device.exists(path) else []
        must(not sockets, f"{name}: {sockets}")
    flags = device.find("/sys/class/net", "*/flags")
    must("/sys/class/net/lo/flags" in flags, "the network interfaces cannot be read")
    up = [name for path in flags if (name := path.split("/")[4]) != "lo" and int(device.read(path), 16) & 1]
    must(not up, f"network interfaces are up: {up}")


def no_getty_runs(device: Device) -> None:
    """No getty or login process runs."""
    names = device.names_of_processes()
    must(bool(names), "the processes cannot be read")
    found = sorted(_ASKING_TO_LOG_IN & names)
    must(not found, f"asking for a login: {found}")


def recorder_answers(device: Device) -> None:
    """The recorder reports exactly the expected faults, and films unless one of them is the camera's."""
    status = json.loads(device.run("missed-moment", "status", "--json"))
    must(set(status["faults"]) == device.faults, f"its faults are {status['faults']}, expected {sorted(device.faults)}")
    films = status["state"] != "off"
    must(films == ("camera" not in device.faults), f"its state is {status['state']}")


RUNNING = (
    (system_is_running, ()),
    (order_at_boot_is_clear, ()),
    (recorder_runs_since_it_was_started, ()),
    (recorder_got_its_sandbox, ()),
    (recorder_can_do_nothing_else, ()),
    (recorder_reaches_no_network, ()),
    (recorder_reaches_no_daemon, ()),
    (forgotten_is_gone, ()),
    (mounts_are_read_only, (Facet.READ_ONLY,)),
    (network_matches_its_setting, (Facet.NO_NETWORK,)),
    (nothing_listens, (Facet.NO_NETWORK,)),
    (no_getty_runs, (Facet.NO_CONSOLES,)),
    (recorder_answers, ()),
)
"""In this order: the first waits until the system has come up."""
