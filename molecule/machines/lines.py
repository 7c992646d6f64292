"""Talking JSON, a line at a time, with QEMU (QMP) and with the agent in its guest.

Both understand `{"execute": ...}` and answer `{"return": ...}` or `{"error": ...}`. A library for the one would not
speak with the other, is asynchronous, and is longer than this.
"""

import json
import select
import socket
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Refused(Exception):  # noqa: N818 - it is what is said of a request
    """The other side answered with an error, not at all in time, or is gone."""


class Line:
    """One end of a conversation. Whatever comes that is no answer is an event, and kept until it is asked for."""

    def __init__(self) -> None:
        """Make both ends."""
        self._ours, self.theirs = socket.socketpair()
        self._received = b""
        self._events: list[Message] = []

    def close(self) -> None:
        """Hang up, at both ends."""
        self._ours.close()
        self.theirs.close()

    def ask(self, command: str, arguments: Message | None = None, timeout_s: float = 30.0) -> Any:
        """Have `command` executed and return what it returned, which is any JSON. Raises Refused."""
        self.send({"execute": command, "arguments": arguments or {}})
        answer = self.receive(lambda message: "return" in message or "error" in message, timeout_s, command)
        if "error" in answer:
            raise Refused(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def event(self, name: str, timeout_s: float, **data: object) -> Message:
        """Return the first event of that name whose data holds at least `data`, once it is there. Raises Refused."""

        def is_it(message: Message) -> bool:
            return message.get("event") == name and data.items() <= message.get("data", {}).items()

        for index, message in enumerate(self._events):
            if is_it(message):
                del self._events[: index + 1]
                return message
        return self.receive(is_it, timeout_s, f"event {name}")

    def send(self, message: Message, before: bytes = b"") -> None:
        """Send a message, after some bytes that are none."""
        self._ours.sendall(before + json.dumps(message).encode() + b"\n")

    def receive(self, wanted: Callable[[Message], bool], timeout_s: float, what: str) -> Message:
        """Return the next message that is `wanted`; others that are events are kept. Raises Refused."""
        deadline = time.monotonic() + timeout_s
        while True:
            while b"\n" in self._received:
                line, self._received = self._received.split(b"\n", 1)
                message: Message = json.loads(line.strip(b"\xff"))
                if wanted(message):
                    return message
                if "event" in message:
                    self._events.append(message)
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self._ours], [], [], left_s)[0]:
                raise Refused(f"{what}: nothing came within {timeout_s:g} s")
            received = self._ours.recv(1 << 16)
            if not received:
                raise Refused(f"{what}: the other side is gone")
            self._received += received
