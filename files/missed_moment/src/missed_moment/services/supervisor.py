"""What a supervisor wants to know of the recorder: sd_notify(3), which is one datagram a message."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Supervisor:
    """Whoever started us and watches us: systemd, or nobody."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Find out from the environment who it is."""
        address = environment.get("NOTIFY_SOCKET", "")
        # The kernel's abstract sockets are written with "@" and meant with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> None:
        """We answer, and film, or can say why we do not."""
        self._tell("READY=1")

    def alive(self) -> None:
        """What we are here for goes on. Without this for WatchdogSec= we are ended, and started anew."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """We were asked to end, and finish what was pressed for."""
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # A supervisor that does not listen knows by itself what to do about it; nobody here waits for it.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, suppress(OSError):
            one.setblocking(False)
            one.sendto(message.encode(), self._address)
