"""The control socket: the recorder's one ear besides the button.

One request a connection: a line of JSON each way. Who may ask is decided by the kernel's word on who is asking
(SO_PEERCRED): root, the recorder's own user, and members of the operator group.
"""

import grp
import json
import logging
import os
import pwd
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from missed_moment.errors import ControlError, MissedMomentError, reason

log = logging.getLogger(__name__)

OPERATOR_GROUP = "missed-moment"

_MAX_REQUEST = 64 * 1024
_MOST_AT_ONCE = 64
"""Requests that are answered at a time; further ones wait in the kernel's queue, and beyond that are refused."""
_PATIENCE_S = 5.0

Command = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Takes the request, returns the answer; a MissedMomentError becomes the answer's `error`."""


class ControlServer:
    """Answers on a Unix socket, in threads of its own."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        self._path = path
        self._commands = commands
        self._server: _Server | None = None

    def start(self) -> None:
        """Listen. Raises ControlError where the socket cannot be made, or another recorder listens on it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            self._server = _Server(str(self._path), _Handler)
            self._path.chmod(0o660)  # who may connect; who may ask is checked at each request
        except OSError as error:
            raise ControlError(
                f"{self._path} cannot be listened on ({reason(error)}): does a recorder run already?"
            ) from error
        self._server.commands = self._commands
        threading.Thread(target=self._server.serve_forever, name="control", daemon=True).start()

    def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._path.unlink(missing_ok=True)

    def _remove_stale(self) -> None:
        """Remove what a recorder that was killed left behind; one that answers keeps its socket."""
        if not self._path.is_socket():
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PATIENCE_S)
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64  # connections beyond it are refused: a few would be, were it the default of 5
    commands: Mapping[str, Command] = {}

    def __init__(self, path: str, handler: type[socketserver.BaseRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_MOST_AT_ONCE)
        super().__init__(path, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, once one is free: each ends within its peer's patience."""
        if not self._free.acquire(timeout=_PATIENCE_S):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, in that thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Handler(socketserver.StreamRequestHandler):
    timeout = _PATIENCE_S
    server: _Server

    def handle(self) -> None:
        try:
            self.wfile.write(json.dumps(self._answer()).encode() + b"\n")
        except OSError as error:  # the peer went away, or said nothing
            log.info("a control connection ended early (%s)", error)

    def _answer(self) -> Mapping[str, Any]:
        line = self.rfile.readline(_MAX_REQUEST)  # first, or who is refused could not be told so
        uid = _peer_uid(self.connection)
        if uid is not None and not _may_ask(uid):
            return {"error": f"user {uid} may not ask: become root, or a member of the group {OPERATOR_GROUP}"}
        try:
            request = json.loads(line, parse_constant=_refuse_constant)
            command = self.server.commands[request["command"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            return {"error": f"not a request ({error!r:.60}); what there is: {', '.join(self.server.commands)}"}
        try:
            return command(request)
        except MissedMomentError as error:
            return {"error": str(error)}


def number(request: Mapping[str, Any], key: str, least: float, most: float) -> float:
    """Return a number of a request, 0 if it has none. Raises ControlError if it is not one from `least` to `most`."""
    value = request.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ControlError(f"{key} must be a number from {least:g} to {most:g}")
    return value


def text(request: Mapping[str, Any], key: str, most: int) -> str:
    """Return a text of a request, cut to `most` characters; "" if it has none. Raises ControlError if it is no text."""
    value = request.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ControlError(f"{key} must be a text")
    return value[:most]


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def ask(path: Path, command: str, patience_s: float = _PATIENCE_S, **more: Any) -> dict[str, Any]:
    """Send one command to the recorder and return its answer, which may take so long.

    Raises ControlError where none listens, or it would not do it.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(patience_s)
            connection.connect(str(path))
            connection.sendall(json.dumps({"command": command, **more}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise NoRecorderError(
            f"no recorder answers on {path} ({reason(error)}): is it running, and may you ask it?"
        ) from error
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer


class NoRecorderError(ControlError):
    """Nobody listens on the control socket."""


def _peer_uid(connection: socket.socket) -> int | None:
    """Return who is asking; None where the system does not tell (not Linux) and the socket's mode must do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _may_ask(uid: int) -> bool:
    if uid in {0, os.getuid()}:
        return True
    try:
        user = pwd.getpwuid(uid)
        group = grp.getgrnam(OPERATOR_GROUP)
    except KeyError:
        return False
    return group.gr_gid in os.getgrouplist(user.pw_name, user.pw_gid)
