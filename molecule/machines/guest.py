"""Commands in a virtual machine, through the agent that runs there; no network is involved."""

import base64
import itertools
import shlex
import time

from machines.lines import Line

# The agent does not tell when a command ends: it is asked again and again.
_ASK_AGAIN_S = 0.05


class CommandFailed(Exception):  # noqa: N818 - it is what is said of the command
    """A command did not end well in the guest; the message is the command and all it said."""


class Guest:
    """The agent, at the other end of a `Line`."""

    _ids = itertools.count(1)

    def __init__(self, line: Line) -> None:
        self._line = line

    def greet(self, timeout_s: float) -> None:
        """Agree with an agent that was just started on where the conversation stands. Raises Refused."""
        number = next(self._ids)
        # The byte ends whatever the agent thinks that it was being told; answers to that are not ours.
        self._line.send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, before=b"\xff")
        self._line.receive(lambda message: message.get("return") == number, timeout_s, "the guest's agent")

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 120.0) -> str:
        """Run a command and return what it wrote to standard output.

        Raises CommandFailed where its exit status is not 0 or it takes too long, Refused where no agent answers.
        """
        execution = {"path": argv[0], "arg": argv[1:], "capture-output": True}
        if stdin:
            execution["input-data"] = base64.b64encode(stdin.encode()).decode()
        pid = self._line.ask("guest-exec", execution)["pid"]
        deadline = time.monotonic() + timeout_s
        while not (status := self._line.ask("guest-exec-status", {"pid": pid}))["exited"]:
            if time.monotonic() > deadline:
                self._line.ask("guest-exec", {"path": "kill", "arg": ["-KILL", str(pid)]})
                raise CommandFailed(f"not done within {timeout_s:g} s: {shlex.join(argv)}")
            time.sleep(_ASK_AGAIN_S)
        said, complained = (base64.b64decode(status.get(part, "")).decode() for part in ("out-data", "err-data"))
        if status.get("exitcode") != 0:
            how = f"exit status {status['exitcode']}" if "exitcode" in status else f"signal {status.get('signal')}"
            raise CommandFailed(f"{how} from {shlex.join(argv)}\n{said}{complained}")
        return said

    def power(self, mode: str) -> None:
        """Ask the guest to `powerdown` or `reboot`; there is no answer to that."""
        self._line.send({"execute": "guest-shutdown", "arguments": {"mode": mode}})
