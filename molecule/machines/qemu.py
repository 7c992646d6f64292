"""A virtual machine: QEMU with emulated processors, a disk, USB ports, and a console written to a file."""

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from machines.lines import Line, Refused

_AGENT = "org.qemu.guest_agent.0"
MAC = bytes.fromhex("525400123456")
"""Where packets of the guest come from."""
CARD = "card"
"""What QEMU calls the disk."""
_COMMON = (
    "-accel", "tcg,thread=multi,tb-size=1024",
    # A Pi up to the 4 has no clock that outlasts a power cut: this one has lost the time.
    "-rtc", "base=1970-01-01T00:00:00",
    "-nodefaults",
    "-display", "none",
    "-chardev", "socket,id=qmp,fd={qmp}",
    "-mon", "chardev=qmp,mode=control",
    "-chardev", "socket,id=agent,fd={agent}",
)  # fmt: skip
SMALL_MB, MIDDLE_MB, LARGE_MB = 465, 1024, 4096
"""Megabytes of memory: with the first, Linux has the 416 MB that a Zero 2 W leaves it; the last is a Pi 4's or 5's."""
_PCI = (
    "-smp", "2",
    "-device", "virtio-rng-pci",
    "-device", "qemu-xhci,id=xhci",
    "-device", "virtio-serial-pci",
    "-device", f"virtserialport,chardev=agent,name={_AGENT},id=agent",
    "-device", f"virtio-net-pci,netdev=network,mac={MAC.hex(':')}",
)  # fmt: skip
_DISK = ("-device", f"virtio-blk-pci,drive=top,id={CARD}")
_USB_DISK = ("-device", f"usb-storage,bus=xhci.0,drive=top,id={CARD}")


@dataclass(frozen=True)
class Board:
    """A kind of machine: which QEMU it is, what is on it, and what QEMU calls its USB ports.

    One that `has_card_slot` has its disk in there. `cmdline` is what its kernel has to be told for it,
    `device_tree` the file that describes it, where QEMU does not.
    """

    command: str
    package: str
    options: tuple[str, ...]
    usb: str = "xhci.0"
    has_card_slot: bool = False
    cmdline: str = ""
    device_tree: str = ""


PC = Board(
    "qemu-system-x86_64",
    "qemu-system-x86",
    # The watchdog is one that systemd can arm for as long as a Pi's.
    ("-machine", "q35", "-cpu", "Nehalem", *_COMMON, *_PCI, "-device", "i6300esb", "-action", "watchdog=reset", *_DISK),
    # The firmware of a Pi puts this before what cmdline.txt says (raspberrypi/linux, bootargs of bcm27*.dtsi).
    cmdline="cgroup_disable=memory",
)
PC_ON_USB = replace(PC, options=(*PC.options[: -len(_DISK)], *_USB_DISK))
"""The same without a card: it starts from a USB disk."""
ARM64 = Board(
    "qemu-system-aarch64",
    "qemu-system-arm",
    ("-machine", "virt", "-cpu", "cortex-a53", *_COMMON, *_PCI, *_DISK),
    cmdline="console=ttyAMA0 cgroup_disable=memory",
)
PI3 = Board(
    ARM64.command,
    ARM64.package,
    # At the first serial port of a real one is the Bluetooth chip.
    ("-machine", "raspi3b", *_COMMON, "-serial", "null"),
    usb="usb-bus.0",
    has_card_slot=True,
    # This watchdog bites as soon as it is armed.
    cmdline="console=ttyS1 cgroup_disable=memory systemd.watchdog_sec=0",
    device_tree="bcm2837-rpi-3-b.dtb",
)
"""As QEMU has it: without a network, and without the firmware that reads the card first."""


class Bootable(Protocol):
    """What a machine is started with: a disk that is not written to, and what its kernel is told."""

    @property
    def board(self) -> Board:
        """The kind of machine that it is for."""

    @property
    def image(self) -> Path:
        """The disk."""

    @property
    def format(self) -> str:
        """The disk's, as QEMU calls it."""

    @property
    def starts_with(self) -> tuple[str | Path, ...]:
        """QEMU's options that say which kernel is started, and with what: here, no firmware reads the disk."""


_TAIL_LINES = 60
_PCAP_HEAD, _PCAP_RECORD = 24, 16
CUT_OFF = "restrict=on"
"""A network that answers, and leads nowhere."""


def free_port() -> int:
    """Return a port of the host's loopback that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ssh_network(port: int) -> str:
    """Return the network in which the guest's ssh is reached at `port` of the host's loopback."""
    return f"hostfwd=tcp:127.0.0.1:{port}-:22"


def bytes_written(qmp: Line, device: str) -> int:
    """Return how many bytes were written to what QEMU calls `device`. Raises Refused where there is none."""
    for each in qmp.ask("query-blockstats"):
        if f"/{device}/" in each.get("qdev", ""):
            return int(each["stats"]["wr_bytes"])
    raise Refused(f"there is no {device}")


def _packets(wire: Path) -> Iterator[bytes]:
    """Yield the packets in a file as libpcap writes it."""
    content, position = wire.read_bytes(), _PCAP_HEAD
    while position < len(content):
        size = int.from_bytes(content[position + 8 : position + 12], "little")
        position += _PCAP_RECORD
        yield content[position : position + size]
        position += size


@dataclass
class Qemu:
    """One virtual machine, running from an overlay over `disk` in the directory `place`; `disk_mb` makes that larger.

    It ends with the thread that started it, whatever ends that.
    """

    disk: Bootable
    place: Path
    network: str = CUT_OFF
    log_writes: bool = False
    memory_mb: int = MIDDLE_MB
    disk_mb: int | None = None
    qmp: Line = field(init=False)
    agent: Line = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    @property
    def console(self) -> Path:
        """All that was written to the serial port, since the first start."""
        return self.place / "console"

    def console_tail(self) -> str:
        """Return what the console last said, for the reader of a failure."""
        lines = self.console.read_text(errors="replace").splitlines()
        return "\n".join(["the console ended:", *lines[-_TAIL_LINES:]])

    def said_on_the_wire(self) -> list[bytes]:
        """Return every packet that the guest has ever sent over the network. Others may say what they like."""
        return [packet for wire in self._wires for packet in _packets(wire) if packet[6:12] == MAC]

    @property
    def _wires(self) -> list[Path]:
        """All that went over the network, as libpcap's files have it: one for each time it was switched on."""
        return sorted(self.place.glob("wire-*.pcap"))

    @property
    def writes(self) -> Path:
        """All that was written to the disk since the last start, in the kernel's dm-log-writes format."""
        return self.place / "writes"

    @property
    def _overlay(self) -> Path:
        return self.place / "disk.qcow2"

    def start(self) -> None:
        """Switch it on: from a fresh overlay the first time, then from what is there."""
        if not self._overlay.exists():
            backing = ("-b", self.disk.image, "-F", self.disk.format)
            size = [f"{self.disk_mb}M"] if self.disk_mb else []
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, self._overlay, *size], check=True)
        wire = self.place / f"wire-{len(self._wires):03}.pcap"
        self.qmp, self.agent = Line(), Line()
        theirs = (self.qmp.theirs.fileno(), self.agent.theirs.fileno())
        board = [option.format(qmp=theirs[0], agent=theirs[1]) for option in self.disk.board.options]
        self._process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", self.disk.board.command, *board, "-m", str(self.memory_mb)),
                *("-netdev", f"user,id=network,{self.network}"),
                *("-object", f"filter-dump,id=wire,netdev=network,file={wire}"),
                *self.disk.starts_with,
                *self._disk(),
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

    def _disk(self) -> tuple[str, ...]:
        """Describe the disk, from the file up. A host that dies takes it along: nothing waits for the host's disks."""
        if self.disk.board.has_card_slot:
            return ("-drive", f"if=sd,id={CARD},file={self._overlay},format=qcow2,cache=unsafe")
        file = {"driver": "file", "filename": str(self._overlay)}
        cache = {"cache": {"direct": False, "no-flush": True}}
        top: dict[str, Any] = {"driver": "qcow2", "file": {**file, **cache}, **cache}
        if self.log_writes:
            self.writes.touch()
            log = {"driver": "file", "filename": str(self.writes), **cache}
            # Above the overlay, flushes are still what the guest asked for.
            top = {"driver": "blklogwrites", "file": top, "log": log, "log-super-update-interval": 1}
        return ("-blockdev", json.dumps({**top, "node-name": "top"}))

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
