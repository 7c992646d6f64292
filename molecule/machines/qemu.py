"""A virtual PC: QEMU with emulated processors, a disk, USB ports, and a console written to a file."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from machines.disk import Disk
from machines.lines import Line

_AGENT = "org.qemu.guest_agent.0"
_BOARD = (
    "-accel", "tcg,thread=multi,tb-size=1024",
    "-machine", "q35",
    "-cpu", "Nehalem",
    "-smp", "2",
    "-m", "1024",
    "-nodefaults",
    "-display", "none",
    "-device", "virtio-rng-pci",
    "-device", "qemu-xhci,id=xhci",
    "-device", "virtio-serial-pci",
    "-device", f"virtserialport,chardev=agent,name={_AGENT},id=agent",
    "-chardev", "socket,id=qmp,fd={qmp}",
    "-mon", "chardev=qmp,mode=control",
    "-chardev", "socket,id=agent,fd={agent}",
    "-device", "virtio-blk-pci,drive=disk",
)  # fmt: skip
NO_NETWORK = ("-nic", "none")


def ssh_network(port: int) -> tuple[str, ...]:
    """Return the options for a network in which the guest's ssh is reached at `port` of the host's loopback."""
    return ("-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{port}-:22")


@dataclass
class Qemu:
    """One virtual PC, running from an overlay over `disk` in the directory `place`.

    It ends with the thread that started it, whatever ends that.
    """

    disk: Disk
    place: Path
    network: tuple[str, ...] = NO_NETWORK
    qmp: Line = field(init=False)
    agent: Line = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    @property
    def console(self) -> Path:
        """All that was written to the serial port, since the first start."""
        return self.place / "console"

    @property
    def _overlay(self) -> Path:
        return self.place / "disk.qcow2"

    def start(self) -> None:
        """Switch it on: from a fresh overlay the first time, then from what is there."""
        if not self._overlay.exists():
            backing = ("-b", self.disk.image, "-F", "qcow2")
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, self._overlay], check=True)
        self.qmp, self.agent = Line(), Line()
        theirs = (self.qmp.theirs.fileno(), self.agent.theirs.fileno())
        board = [option.format(qmp=theirs[0], agent=theirs[1]) for option in _BOARD]
        self._process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *board, *self.network),
                *("-kernel", self.disk.kernel, "-initrd", self.disk.initrd),
                *("-append", self.disk.cmdline),
                *("-drive", f"file={self._overlay},id=disk,if=none,cache=unsafe"),
                *("-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console"),
            ],
            pass_fds=theirs,
            stdin=subprocess.DEVNULL,
        )
        # With our copies closed, the end of QEMU is the end of both conversations.
        self.qmp.theirs.close()
        self.agent.theirs.close()
        self.qmp.receive(lambda message: "QMP" in message, 30, "QEMU's greeting")
        self.qmp.ask("qmp_capabilities")

    def agent_is_there(self, timeout_s: float) -> None:
        """Return when the guest's agent has opened its port, which it does once each boot. Raises Refused."""
        self.qmp.event("VSERPORT_CHANGE", timeout_s, id="agent", open=True)

    def has_shut_down(self, timeout_s: float) -> None:
        """Return when the guest has powered itself off. Raises Refused."""
        self.qmp.event("SHUTDOWN", timeout_s, guest=True)
        self._process.wait(timeout_s)

    def has_reset(self, timeout_s: float) -> None:
        """Return when the guest has started itself again. Raises Refused."""
        self.qmp.event("RESET", timeout_s, guest=True)

    def kill(self) -> None:
        """Cut the power."""
        self._process.kill()
        self._process.wait()
        self.qmp.close()
        self.agent.close()
