"""A virtual missed-moment: the device's own disk, booted, with a button, an LED, a camera and USB ports.

It is run by root, with requirements/ansible.txt installed. Its processor is emulated too, about fifteen times slower
than this computer's. To play with one: `playground`.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imaging import host
from imaging.debian_root import DebianRoot
from machines import settings
from machines.disk import Disk, device_disk
from machines.guest import CommandFailed, Guest
from machines.led import Edge, read
from machines.lines import Refused
from machines.provisioning import APPLIANCE_EXPECTS, doctor
from machines.qemu import CARD, CUT_OFF, PC, SMALL_MB, Qemu, bytes_written
from machines.usb import Port, UsbPorts
from machines.waiting import NeverHappened, wait_until
from machines.write_log import apply, contains, epochs

BOARD_EXPECTS = ("booted", "own-kernel", "pins", "dma-heaps", "watchdog")
"""What the doctor must find of any virtual device, once it has started."""

_BOOT_LIMIT_S = 300.0
_SHUTDOWN_LIMIT_S = 120.0
_CLAP_LIMIT_S = 60.0
_LOOK_AGAIN_S = 0.5
_DOCTOR_LIMIT_S = 600.0
_TAIL_LINES = 40
_PARTITIONS = ("vda1", "vda2", "vda3")
_PULL = "/run/virtual-board/pins/sim_gpio17/pull"
_CLAP = "/usr/local/lib/virtual-board/clap"
_LOUDSPEAKER = "/proc/asound/Loopback/pcm1p/sub0/status"
_CAMERA = "/sys/bus/platform/drivers/vivid"
# Seconds and 0 or 1, for each change of the LED since `since`.
_EDGES = "/gpio_value:/ { at = $(NF - 4) + 0; if ($NF != last && at >= since) print at, $NF; last = $NF }"
_NETWORK_ON = "touch /run/missed-moment-network && systemctl start systemd-networkd.service ssh.service"
_OWNER = "/boot/firmware"
# Afterwards it is mounted as fstab says.
_AS_OWNER = f"mount -o remount,rw {_OWNER}; cd {_OWNER}; {{}}; cd /; mount -o remount {_OWNER}"
_PRESS_AND_KILL = f"""
echo pull-down >{_PULL}; sleep 0.2; echo pull-up >{_PULL}
until [ -e /data/clips/.incoming/moment-*/moment.json ]; do sleep 0.05; done
systemctl kill --signal=KILL missed-moment.service
"""
_PRESS_AND_HOLD = f"""
echo pull-down >{_PULL}; sleep 0.2; echo pull-up >{_PULL}
until [ -e /data/clips/.incoming/moment-*/moment.json ]; do sleep 0.05; done
cut -d" " -f1 /proc/uptime; echo pull-down >{_PULL}; sleep 4; echo pull-up >{_PULL}
"""
_PRESS_OFTEN = f"""
for press in $(seq "$1"); do echo pull-down >{_PULL}; sleep 0.2; echo pull-up >{_PULL}; sleep 1.5; done
"""
_NOISE = f"""
for burst in $(seq "$1"); do
    for contact in $(seq 20); do echo pull-down; echo pull-up; done >{_PULL}
    sleep 0.5
done
"""

# What the command line would say as well. It takes fifteen seconds to start here, because of all that it can do.
_BARE_PYTHON = ("python3", "-I", "-S", "-c")
_ASK = """
import socket
recorder = socket.socket(socket.AF_UNIX)
recorder.connect("/run/missed-moment/control.sock")
recorder.sendall(b'{"command": "status"}\\n')
print(recorder.makefile().readline())
"""
# SIOCSIFFLAGS, and IFF_UP in it or nothing.
_SET_NETWORK_CARD = """
import fcntl, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"eth0", int(sys.argv[1])))
"""
_LIST = """
import json, pathlib
moments = sorted(pathlib.Path("/data/clips").glob("moment-*"))
print(json.dumps([{
    "clip": str(moment / "clip.mp4"),
    "recovered": json.loads((moment / "moment.json").read_text())["recovered"],
    "exported": (moment / "exported.json").exists(),
} for moment in moments]))
"""


class VirtualDevice:
    """Switched on when entered, and gone without a trace when left."""

    def __init__(
        self,
        disk: Disk | None = None,
        network: str = CUT_OFF,
        log_writes: bool = False,
        memory_mb: int = SMALL_MB,
        disk_mb: int | None = None,
    ) -> None:
        """Take `disk`, or what the repository makes of one now. By itself, the network leads nowhere.

        The card has as many megabytes as `disk`, or `disk_mb`.
        """
        self._disk = disk
        self._network = network
        self._log_writes = log_writes
        self._memory_mb = memory_mb
        self._disk_mb = disk_mb
        self._place = tempfile.TemporaryDirectory(prefix="missed-moment-")

    def __enter__(self) -> Self:
        host.install(PC.command, PC.package, "qemu-utils")
        disk = self._disk or device_disk()
        self._qemu = Qemu(disk, self.place, self._network, self._log_writes, self._memory_mb, self._disk_mb)
        self.switch_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._qemu.kill()
        self._place.cleanup()

    @property
    def place(self) -> Path:
        """A directory on the host for what belongs to this device, the sticks for example."""
        return Path(self._place.name)

    # Power

    def switch_on(self) -> None:
        """Boot, and return when commands can be run. Raises NeverHappened."""
        self._qemu.start()
        self.usb = UsbPorts(self._qemu.qmp, PC.usb)
        self.guest = Guest(self._qemu.agent)
        self._await_agent()

    def power_cut(self) -> None:
        """Pull the plug: whatever is not on the disk is lost."""
        self._qemu.kill()

    def reboot(self) -> None:
        """Start again in an orderly way, and return when commands can be run."""
        self.guest.power("reboot")
        self.starts_again(_SHUTDOWN_LIMIT_S)

    def starts_again(self, timeout_s: float) -> None:
        """Return when it has started again, for whatever reason, and commands can be run. Raises Refused."""
        self._qemu.has_reset(timeout_s)
        self._await_agent()

    def shut_down(self) -> None:
        """Power off in an orderly way."""
        self.guest.power("powerdown")
        self._qemu.has_shut_down(_SHUTDOWN_LIMIT_S)

    def _await_agent(self) -> None:
        try:
            self._qemu.agent_is_there(_BOOT_LIMIT_S)
            self.guest.greet(_BOOT_LIMIT_S)
        except Refused as refused:
            raise NeverHappened(f"the device did not boot: {refused}\n{self._qemu.console_tail()}") from refused

    # What a hand does

    def press(self, seconds: float = 0.2) -> float:
        """Press the button for so long; returns when that began, on the device's clock."""
        script = f'cut -d" " -f1 /proc/uptime; echo pull-down >{_PULL}; sleep {seconds}; echo pull-up >{_PULL}'
        return float(self.run("sh", "-c", script))

    def hold(self) -> float:
        """Press and hold, which means: forget. Returns when that began, on the device's clock."""
        return self.press(4.0)

    def press_and_hold(self) -> float:
        """Press, and hold as soon as that moment is kept, while it still grows; returns when the hold began."""
        return float(self.run("sh", "-c", _PRESS_AND_HOLD))

    def press_often(self, times: int) -> None:
        """Press again and again, each time before the moment has ended, so that it grows by about two seconds."""
        self.run("sh", "-c", _PRESS_OFTEN, "sh", str(times))

    def press_and_kill(self) -> None:
        """Press, and kill the recorder as soon as the moment is kept, while it still grows."""
        self.run("sh", "-c", _PRESS_AND_KILL)

    def noise(self, bursts: int = 1) -> float:
        """Touch the button as a loose contact does: each burst is 20 touches, as quick as they come."""
        began = self.now()
        self.run("sh", "-c", _NOISE, "sh", str(bursts))
        return began

    def unplug_camera(self) -> None:
        """Pull the webcam's plug."""
        self.run("sh", "-c", f"echo vivid.0 >{_CAMERA}/unbind")

    def plug_camera(self) -> None:
        """Plug the webcam in again."""
        self.run("sh", "-c", f"echo vivid.0 >{_CAMERA}/bind")

    def clap(self, seconds: int) -> None:
        """Clap in front of camera and microphone, about once a second, for so long; returns when that begins."""
        # With the Python that the recorder runs on.
        script = 'exec "$(dirname "$(readlink /usr/local/bin/missed-moment)")/python" "$@"'
        self.run("systemd-run", "--quiet", "--collect", "sh", "-c", script, "sh", _CLAP, str(seconds))
        self.wait_until(lambda: "RUNNING" in self.run("cat", _LOUDSPEAKER), _CLAP_LIMIT_S, "the clapping begins")

    def plug(self, stick: Path, **manner: Any) -> Port:
        """Plug in the stick whose image is `stick`, in the `manner` that `UsbPorts.plug` knows. Returns where it is."""
        return self.usb.plug(stick, **manner)

    def pull(self, port: Port) -> None:
        """Pull the stick out, without asking."""
        self.usb.pull(port)

    def write_setting(self, table: str, key: str, value: object) -> None:
        """Write a setting onto the boot partition, as the owner does with any computer."""
        self._as_owner(f'sed -i -e "$1" {settings.NAME}', settings.sed_script(table, key, value))

    def _as_owner(self, script: str, argument: str) -> None:
        """Run a script in the boot partition, where owners put things with any computer."""
        self.run("sh", "-euc", _AS_OWNER.format(script), "sh", argument)

    def set_network_card(self, up: bool) -> None:
        """Switch the network card on or off, as nothing on the device does by itself."""
        self.run(*_BARE_PYTHON, _SET_NETWORK_CARD, str(int(up)))

    # What an eye sees

    def led_names(self, mark: float = 0.0) -> list[str]:
        """Return what the LED said since `mark`, on the device's clock."""
        until = self.now()  # first: there may be more edges by then, but none is missing
        return read(self._led_edges(mark), until)

    def _led_edges(self, mark: float) -> list[Edge]:
        changes = self.run("awk", "-v", f"since={mark}", _EDGES, "/sys/kernel/tracing/trace").splitlines()
        return [(float(at), lit == "1") for at, lit in map(str.split, changes)]

    def now(self) -> float:
        """Return what time it is on the device's clock, which counts seconds since it was switched on."""
        return float(self.run("cat", "/proc/uptime").split()[0])

    def wait_for_led(self, name: str, mark: float, timeout_s: float) -> None:
        """Return when the LED says `name`, and has been told to since `mark`. Raises NeverHappened."""
        self.wait_until(lambda: self.led_names(mark)[-1:] == [name], timeout_s, f"the LED says {name}")

    def said_on_the_wire(self) -> list[bytes]:
        """Return every packet that the device has ever sent over the network. Others may say what they like."""
        return self._qemu.said_on_the_wire()

    def written(self) -> int:
        """Return how many bytes were written to the card since power-on."""
        return bytes_written(self._qemu.qmp, CARD)

    @property
    def writes(self) -> Path:
        """The log of all that was written to the card since power-on, where one is kept."""
        return self._qemu.writes

    def found_on_card(self, mark: bytes) -> set[str]:
        """Return where a mark is or was since power-on: "before" on the card as it was made, or partitions' names.

        For a device whose writes are logged: what it deleted since is found as well.
        """
        found = {"before"} if contains(self._qemu.disk.image, mark) else set()
        begins = {name: int(self.run("cat", f"/sys/class/block/{name}/start")) * 512 for name in _PARTITIONS}
        for epoch in epochs(self.writes):
            for write in epoch.writes:
                if write.data and mark in write.data:
                    found.add(max((begin, name) for name, begin in begins.items() if begin <= write.at)[1])
        return found

    def left_on_card(self, mark: bytes, entry: int | None = None) -> bool:
        """Tell whether a mark is in any block of the partition for data, whether a file has that block or not.

        For a device whose writes are logged. What was overwritten is not found; what was only discarded is, as if the
        card had kept it. With `entry`, as it may be if the power goes at any time after that entry of the log.
        """
        held = self.place / "held"
        begin = self.data_as_it_was(held)
        size = held.stat().st_size
        for epoch in epochs(self.writes):
            if entry is None or epoch.end <= entry:
                apply(epoch.writes, held, begin, size)
            elif any(write.data and mark in write.data for write in epoch.writes):
                return True
        return contains(held, mark)

    def data_as_it_was(self, into: Path) -> int:
        """Copy what the partition for data held before the first start; returns at which byte of the card it begins."""
        begin, size = (int(self.run("cat", f"/sys/class/block/vda3/{what}")) for what in ("start", "size"))
        command = ("qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"if={self._qemu.disk.image}", f"of={into}")
        subprocess.run([*command, "bs=512", f"skip={begin}"], check=True, capture_output=True)
        os.truncate(into, size * 512)
        return begin * 512

    # What an operator does and sees

    def let_in(self, port: int) -> tuple[str, ...]:
        """Turn the network on, accept a new key, and return the command that logs in with it at the host's `port`.

        For a device whose network is `ssh_network(port)`.
        """
        key = self.place / "key"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
            self._as_owner('echo "$1" >authorized_keys', key.with_suffix(".pub").read_text().strip())
        # Somebody's Pi has a network already.
        self.run("sh", "-c", f"systemctl --quiet is-active NetworkManager.service || {_NETWORK_ON}")
        options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        return ("ssh", "-i", str(key), *options, "-p", str(port), "root@127.0.0.1")

    def run(self, *argv: str, timeout_s: float = 120.0) -> str:
        """Run a command as root and return what it wrote. Raises CommandFailed."""
        return self.guest.run(*argv, timeout_s=timeout_s)

    def status(self) -> dict[str, Any]:
        """Return what the recorder tells of itself. Raises CommandFailed where none answers."""
        status: dict[str, Any] = json.loads(self.run(*_BARE_PYTHON, _ASK))
        return status

    def state(self) -> str:
        """Return the recorder's state, "silent" where none answers."""
        try:
            return str(self.status()["state"])
        except CommandFailed:
            return "silent"

    def moments(self) -> list[dict[str, Any]]:
        """Return the kept moments, oldest first: clip, recovered, exported."""
        moments: list[dict[str, Any]] = json.loads(self.run(*_BARE_PYTHON, _LIST))
        return moments

    def disks(self) -> list[str]:
        """Return the names of the USB disks that the system sees."""
        listed = self.run("lsblk", "--nodeps", "--noheadings", "--output", "NAME,TRAN").splitlines()
        return [line.split()[0] for line in listed if line.split()[1:] == ["usb"]]

    def look_at_everything(self, *more: str, expects: Iterable[str] = APPLIANCE_EXPECTS, only: str = "") -> str:
        """Return the doctor's report. Raises CommandFailed unless the device is what the playbook made of it.

        By itself that is an appliance; `more` is what the owner or the board has added to it. `only` names one check.
        """
        command = (*doctor([*BOARD_EXPECTS, *expects, *more]), *([f"--check={only}"] if only else []))
        return self.run(*command, timeout_s=_DOCTOR_LIMIT_S)

    def wait_until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        """Look at `condition` until it is true. Raises NeverHappened, with all that may explain it."""
        wait_until(condition, timeout_s, what, _LOOK_AGAIN_S, self.account)

    def until_it_records(self, timeout_s: float) -> None:
        """Return when it records. Raises NeverHappened."""
        self.wait_until(lambda: self.state() == "recording", timeout_s, "it records")

    def account(self) -> str:
        """Return what the device has to say of itself, for the reader of a failure."""
        looks: tuple[Callable[[], str], ...] = (
            lambda: self.run("missed-moment", "status"),
            lambda: self.run("journalctl", "--no-pager", "-n", str(_TAIL_LINES), "-u", "missed-moment*"),
            lambda: self.run("systemctl", "--no-pager", "--failed"),
            lambda: " ".join(f"{at:.2f} {'lit' if lit else 'dark'}" for at, lit in self._led_edges(0)[-_TAIL_LINES:]),
        )
        said = []
        for look in looks:
            try:
                said.append(look())
            except (CommandFailed, Refused) as error:
                said.append(str(error))
        return "\n".join([*said, self._qemu.console_tail()])


def missing() -> str | None:
    """Say why no virtual device can be booted here; None where it can."""
    return DebianRoot.missing() or host.missing(PC.command)
