"""The steps of making an image: each shows that it goes on, and leaves a log."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

_TAIL_LINES = 25


class NotMade(Exception):  # noqa: N818 - it is what is said of the image
    """Something stands in the way of it; the message says what, and what to do."""


class Steps:
    """Shows which step goes on, and keeps all that it says in a log of its own below `logs`."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._console = Console(file=os.fdopen(os.dup(sys.stdout.fileno()), "w"))

    def say(self, what: str) -> None:
        """Show a line."""
        self._console.print(what, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Run a block that is described by `what`. Exits where it fails."""
        log = self._logs / f"{name}.log"
        began = time.monotonic()
        with self._console.status(f"{what} ..."), log.open("w") as file:
            if not self._console.is_terminal:
                self.say(f"{what} ...")
            with _all_said_goes_to(file.fileno()):
                try:
                    yield
                except (subprocess.CalledProcessError, OSError, NotMade) as error:
                    failure: Exception | None = error
                else:
                    failure = None
        if failure:
            tail = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
            self.say("\n".join([*tail, f"failed: {what}: {failure}", f"all of it: {log}"]))
            sys.exit(1)
        self.say(f"{what}: {time.monotonic() - began:.0f} s")


@contextmanager
def _all_said_goes_to(target: int) -> Iterator[None]:
    """Have standard output and errors, of this process and of those that it starts, go to a file for a while."""
    kept = [os.dup(stream) for stream in (1, 2)]
    try:
        for stream in (1, 2):
            os.dup2(target, stream)
        yield
    finally:
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
