"""USB ports of a virtual machine: sticks are plugged in and pulled out while it runs."""

import itertools
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging import host
from machines.lines import Line, Refused
from machines.qemu import bytes_written

_PULL_LIMIT_S = 30.0
_LOOK_AGAIN_S = 0.02
_HUB = "4"
HUB_SOCKETS = (f"{_HUB}.1", f"{_HUB}.2")
"""Where sticks can be plugged into a hub."""


@dataclass(frozen=True)
class Port:
    """Where a stick is plugged in; no port is used twice. Its name is the stick's serial number as well."""

    name: str
    slow: bool = False

    @property
    def medium(self) -> str:
        """What QEMU calls the stick's memory."""
        return f"{self.name}-medium"

    @property
    def brake(self) -> str:
        """What QEMU calls that which makes the stick slow."""
        return f"{self.name}-brake"


class UsbPorts:
    """As many as are needed, on the machine whose monitor is `qmp`, which calls them `bus`."""

    _numbers = itertools.count(1)

    def __init__(self, qmp: Line, bus: str) -> None:
        self._qmp = qmp
        self._bus = bus
        self.plugged: list[Port] = []

    def plug(
        self,
        image: Path,
        slow_bytes_per_s: int | None = None,
        write_protected: bool = False,
        broken_sectors: Sequence[int] = (),
        real_bytes: int | None = None,
        wrap_from: int | None = None,
        socket: str = "",
    ) -> Port:
        """Plug in a stick whose bytes are the file `image`, into a `socket` of a hub if one is named. Raises Refused.

        It may be slow, have its switch on "lock", answer with errors to whoever touches some of its sectors, or have
        less memory than it says; with `wrap_from`, the addresses behind its end begin again there.
        """
        port = Port(f"stick{next(self._numbers)}", slow=slow_bytes_per_s is not None)
        medium: dict[str, Any] = {"driver": "raw", "file": {"driver": "file", "filename": str(image)}}
        if real_bytes is not None:
            server = {"type": "unix", "path": str(_served_by_less(image, real_bytes, wrap_from))}
            medium = {"driver": "raw", "file": {"driver": "nbd", "server": server}}
        if write_protected:
            medium = {**medium, "read-only": True, "file": {**medium["file"], "read-only": True}}
        if broken_sectors:
            errors = [{"event": "none", "iotype": kind, "sector": sector, "immediately": True}
                      for sector in broken_sectors for kind in ("read", "write")]  # fmt: skip
            medium = {"driver": "raw", "file": {"driver": "blkdebug", "image": medium["file"], "inject-error": errors}}
        if port.slow:
            limits = {"bps-total": slow_bytes_per_s}
            self._qmp.ask("object-add", {"qom-type": "throttle-group", "id": port.brake, "limits": limits})
            medium = {"driver": "throttle", "throttle-group": port.brake, "file": medium}
        self._qmp.ask("blockdev-add", {**medium, "node-name": port.medium})
        self._qmp.ask(
            "device_add",
            {
                "driver": "usb-storage",
                "id": port.name,
                "bus": self._bus,
                "drive": port.medium,
                "removable": True,
                "serial": port.name,
                **({"port": socket} if socket else {}),
            },
        )
        self.plugged.append(port)
        return port

    def plug_keyboard(self) -> Callable[[], None]:
        """Plug in a keyboard; returns what pulls it out again. Raises Refused."""
        return self._plug_other("usb-kbd", {})

    def plug_hub(self) -> Callable[[], None]:
        """Plug in a hub, whose sockets are `HUB_SOCKETS`; returns what pulls it out again. Raises Refused."""
        return self._plug_other("usb-hub", {"port": _HUB})

    def _plug_other(self, driver: str, properties: dict[str, str]) -> Callable[[], None]:
        name = f"{driver}{next(self._numbers)}"
        self._qmp.ask("device_add", {"driver": driver, "id": name, "bus": self._bus, **properties})

        def pull() -> None:
            self._qmp.ask("device_del", {"id": name})
            self._qmp.event("DEVICE_DELETED", _PULL_LIMIT_S, device=name)

        return pull

    def pull(self, port: Port) -> None:
        """Pull the stick out: what was not written is not. Returns when its file is free again. Raises Refused."""
        self._qmp.ask("device_del", {"id": port.name})
        self._qmp.event("DEVICE_DELETED", _PULL_LIMIT_S, device=port.name)
        self._qmp.ask("blockdev-del", {"node-name": port.medium})
        if port.slow:
            self._qmp.ask("object-del", {"id": port.brake})
        self.plugged.remove(port)

    def written(self, port: Port) -> int:
        """Return how many bytes were written to the stick since it is in. Raises Refused where it is not."""
        return bytes_written(self._qmp, port.name)

    def wait_for_bytes(self, port: Port, count: int, timeout_s: float) -> None:
        """Return when so many bytes were written to the stick. Raises Refused where it takes longer."""
        deadline = time.monotonic() + timeout_s
        while (written := self.written(port)) < count:
            if time.monotonic() > deadline:
                raise Refused(f"{port.name}: {written} of {count} bytes were written within {timeout_s:g} s")
            time.sleep(_LOOK_AGAIN_S)  # QEMU tells of no such event


def _served_by_less(image: Path, real_bytes: int, wrap_from: int | None) -> Path:
    """Serve `image` as a stick that has less memory than it says; returns the socket, which is there already.

    The server ends when the stick is pulled.
    """
    host.install("nbdkit", "nbdkit", "nbdkit-plugin-python")
    socket = image.with_suffix(".nbd")
    socket.unlink(missing_ok=True)
    plugin = Path(__file__).with_name("less_than_it_says.py")
    # It returns when it serves, from a process of its own.
    command = ("nbdkit", "--unix", socket, "--filter=exitlast", "python", plugin)
    wraps = () if wrap_from is None else (f"wrap_from={wrap_from}",)
    subprocess.run([*command, f"image={image}", f"real_bytes={real_bytes}", *wraps], check=True)
    return socket
