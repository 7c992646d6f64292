"""A card with the image that ships, in an arm64 machine; only files on the boot partition are written, as by its owner.

The machine is QEMU's `virt`, which has no pins, or its Raspberry Pi 3, which has no network. Its camera is the kernel's
simulated webcam. It is spoken with as its owner would: files on the boot partition, ssh, sticks.
"""

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from imaging import host
from machines import settings
from machines.guest import CommandFailed
from machines.lines import Refused
from machines.qemu import ARM64, CUT_OFF, Board, Qemu, free_port, ssh_network
from machines.sticks import MB
from machines.usb import UsbPorts
from machines.waiting import NeverHappened, wait_until

SIZE_MB = 4096
"""What a card has, a power of two as QEMU's card slot wants it."""
_BOOT_LIMIT_S = 900.0
_SHUTDOWN_LIMIT_S = 300.0
_LOOK_AGAIN_S = 2.0
_FIRST_PARTITION = "4M"
# The webcam, and nothing else of what vivid can be.
_BESIDES = "modules_load=vivid vivid.n_devs=1 vivid.node_types=0x1 vivid.num_inputs=1 vivid.input_types=0x0"
# What an emulated processor keeps up with.
_SMALL: tuple[tuple[str, str, object], ...] = (
    ("video", "width", 320),
    ("video", "height", 180),
    ("video", "fps", 5),
    ("video", "bitrate_mbps", 0.5),
    ("moment", "before_s", 5),
    ("moment", "after_s", 3),
)
_NETWORK = ("network", "enabled", True)


class Flashed:
    """The card's bytes, on the host: what QEMU starts from."""

    format = "raw"

    def __init__(self, image: Path, place: Path, size_mb: int, board: Board) -> None:
        """Flash `image` onto a card of `size_mb` for `board`, in the directory `place`."""
        host.install("mcopy", "mtools")
        self.board = board
        self.image = place / "card"
        subprocess.run(["cp", "--sparse=always", image, self.image], check=True)
        with self.image.open("rb+") as card:
            card.truncate(size_mb * MB)
        # What a board's firmware would read.
        kernel, initrd, cmdline = (self._read(name) for name in ("vmlinuz-*", "initrd.img-*", "cmdline.txt"))
        told = f"{cmdline.read_text().strip()} {board.cmdline} {_BESIDES}"
        self.starts_with: tuple[str | Path, ...] = ("-kernel", kernel, "-initrd", initrd, "-append", told)
        if board.device_tree:
            self.starts_with += ("-dtb", self._read(board.device_tree))

    def write(self, name: str, text: str) -> None:
        """Put a file onto the boot partition, or into the place of one that is there."""
        file = self.image.with_name("written")
        file.write_text(text)
        subprocess.run(["mcopy", "-o", "-i", self._boot, file, f"::{name}"], check=True)

    def choose(self, table: str, key: str, value: object) -> None:
        """Change a setting on the boot partition. Raises Refused where there is no such table."""
        text = self._read(settings.NAME).read_text()
        edit = ("sed", "-e", settings.sed_script(table, key, value))
        edited = subprocess.run(edit, check=True, input=text, capture_output=True, text=True).stdout
        if edited == text:
            raise Refused(f"{settings.NAME} has no [{table}]:\n{text}")
        self.write(settings.NAME, edited)

    def _read(self, name: str) -> Path:
        target = self.image.with_name(name.strip("*"))
        subprocess.run(["mcopy", "-n", "-i", self._boot, f"::{name}", target], check=True)
        return target

    @property
    def _boot(self) -> str:
        return f"{self.image}@@{_FIRST_PARTITION}"


class FlashedCard:
    """In a machine that is switched on when entered, and gone without a trace when left."""

    def __init__(self, image: Path, board: Board = ARM64, let_in: bool = True) -> None:
        """Flash `image`, with settings that an emulated processor keeps up with; with the network on if it is to be."""
        self._place = tempfile.TemporaryDirectory(prefix="missed-moment-card-")
        self.place = Path(self._place.name)
        self._flashed = Flashed(image, self.place, SIZE_MB, board)
        self._port = free_port()
        key = self.place / "key"
        if let_in:
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
            self._flashed.write("authorized_keys", key.with_suffix(".pub").read_text())
        for setting in (*_SMALL, _NETWORK) if let_in else _SMALL:
            self._flashed.choose(*setting)
        self._let_in = let_in
        options = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "ConnectTimeout": "60",
            "ControlMaster": "auto",
            "ControlPath": str(self.place / "ssh"),
            "ControlPersist": "yes",
        }
        said = (word for name, value in options.items() for word in ("-o", f"{name}={value}"))
        self._ssh = ("ssh", "-i", str(key), "-p", str(self._port), *said)

    def __enter__(self) -> Self:
        host.install(ARM64.command, ARM64.package, "qemu-utils", "ipxe-qemu")
        network = ssh_network(self._port) if self._let_in else CUT_OFF
        self._qemu = Qemu(self._flashed, self.place, network)
        self.switch_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.power_cut()
        self._place.cleanup()

    def switch_on(self) -> None:
        """Switch it on; where its owner is let in, return when commands can be run. Raises NeverHappened."""
        self._qemu.start()
        self.usb = UsbPorts(self._qemu.qmp, self._flashed.board.usb)
        if self._let_in:
            self.wait_until(self._answers, _BOOT_LIMIT_S, "ssh answers")

    def power_cut(self) -> None:
        """Pull the plug: whatever is not on the card is lost."""
        self._hang_up()
        self._qemu.kill()

    def reboot(self) -> None:
        """Start again in an orderly way, and return when commands can be run."""
        self.run("systemctl", "--no-block", "reboot")
        self._hang_up()
        try:
            self._qemu.has_reset(_SHUTDOWN_LIMIT_S)
        except Refused as refused:
            raise NeverHappened(f"{refused}\n{self._qemu.console_tail()}") from refused
        self.wait_until(self._answers, _BOOT_LIMIT_S, "ssh answers")

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 300.0) -> str:
        """Run a command as root and return what it wrote. Raises CommandFailed."""
        done = subprocess.run(
            [*self._ssh, "root@127.0.0.1", shlex.join(["exec", *argv])],
            check=False, input=stdin, capture_output=True, text=True, timeout=timeout_s,
        )  # fmt: skip
        if done.returncode:
            raise CommandFailed(f"exit status {done.returncode} from {argv}\n{done.stdout}{done.stderr}")
        return done.stdout

    def said_on_the_wire(self) -> list[bytes]:
        """Return every packet that it has ever sent over the network."""
        return self._qemu.said_on_the_wire()

    def wait_until(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        """Look at `condition` until it is true. Raises NeverHappened."""
        wait_until(condition, timeout_s, what, _LOOK_AGAIN_S, self._qemu.console_tail)

    def _answers(self) -> bool:
        try:
            self.run("true", timeout_s=90)
        except (CommandFailed, subprocess.TimeoutExpired):
            return False
        return True

    def _hang_up(self) -> None:
        if self._let_in:
            subprocess.run([*self._ssh, "-O", "exit", "root@127.0.0.1"], check=False, capture_output=True)


def missing() -> str | None:
    """Say why no card can be started here; None where it can."""
    return host.missing(ARM64.command) or (None if shutil.which("ssh") else "there is no ssh")
