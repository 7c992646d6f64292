"""A virtual device to play with: `make machine`. Commands are read from standard input, one a line."""

import contextlib
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from machines import virtual_device
from machines.guest import CommandFailed
from machines.lines import Refused
from machines.qemu import free_port, ssh_network
from machines.sticks import KINDS, Stick
from machines.usb import Port
from machines.virtual_device import VirtualDevice
from machines.waiting import NeverHappened

HELP = f"""
  press, hold      the button: keep the last seconds, or forget them
  plug KIND        a new stick: {", ".join(KINDS)}
  plug FILE        a stick of your own, an image file
  pull             the stick that was plugged in first
  camera off|on    the webcam's plug
  led              what the LED said of late
  status           what the recorder says
  ssh              how to log in as root
  reboot, quit
"""
_LED_S = 60.0
_RECORDER_LIMIT_S = 300.0


class Playground:
    """One device, its sticks, and what may be done with them."""

    _commands: Mapping[str, Callable[[str], str]]
    _plugged: list[Port]

    def __init__(self, device: VirtualDevice, port: int) -> None:
        """Play with `device`, whose ssh is at `port`."""
        self._device = device
        self._ssh = shlex.join(device.let_in(port))
        self._plugged = []
        self._made = 0
        self._commands = {
            "press": lambda _: f"pressed at {device.press():.1f} s",
            "hold": lambda _: f"held from {device.hold():.1f} s on",
            "plug": self._plug,
            "pull": self._pull,
            "camera": self._camera,
            "led": lambda _: ", ".join(device.led_names(device.now() - _LED_S)),
            "status": lambda _: json.dumps(device.status(), indent=2),
            "ssh": lambda _: self._ssh,
            "reboot": self._reboot,
        }

    def obey(self, line: str) -> str:
        """Do what a line says and return what there is to say about it."""
        word, _, rest = line.strip().partition(" ")
        command = self._commands.get(word)
        if command is None:
            return HELP
        try:
            return command(rest.strip())
        except (CommandFailed, NeverHappened, Refused, OSError) as error:
            return str(error)

    def _plug(self, what: str) -> str:
        image = Path(what).expanduser()
        if what in KINDS:
            self._made += 1
            image = Stick(self._device.place / f"stick{self._made}", what).image
        elif not image.is_file():
            return f"{what!r} is neither a kind of stick nor a file\n{HELP}"
        self._plugged.append(self._device.plug(image.absolute()))
        return f"{image} is plugged in as {self._plugged[-1].name}"

    def _pull(self, _: str) -> str:
        if not self._plugged:
            return "no stick is in"
        port = self._plugged.pop(0)
        self._device.pull(port)
        return f"{port.name} is out"

    def _camera(self, wanted: str) -> str:
        if wanted == "off":
            self._device.unplug_camera()
        else:
            self._device.plug_camera()
        return f"the camera is plugged {'out' if wanted == 'off' else 'in'}"

    def _reboot(self, _: str) -> str:
        self._device.reboot()
        return "it is there again"


def main() -> int:
    """Boot a device, and obey until the input ends; returns the exit status."""
    if why := virtual_device.missing():
        sys.exit(f"no virtual device can be booted: {why}")
    port = free_port()
    print("booting: an emulated processor takes a minute or two ...", flush=True)
    with VirtualDevice(network=ssh_network(port)) as device:
        device.wait_until(lambda: device.state() != "silent", _RECORDER_LIMIT_S, "the recorder answers")
        playground = Playground(device, port)
        print(f"it runs.\n{HELP}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            for line in iter(_next_line, "quit"):
                print(playground.obey(line), flush=True)
    return 0


def _next_line() -> str:
    print("> ", end="", flush=True)
    line = sys.stdin.readline()
    return line.strip() if line else "quit"


if __name__ == "__main__":
    sys.exit(main())
