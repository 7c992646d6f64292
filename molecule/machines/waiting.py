"""Waiting for what a machine does in its own time, where nothing tells that it is done."""

import time
from collections.abc import Callable


class NeverHappened(Exception):  # noqa: N818 - it is what is said of something awaited
    """What was waited for did not come; the message holds what the machine last said of itself."""


def wait_until(
    condition: Callable[[], object], timeout_s: float, what: str, look_again_s: float, account: Callable[[], str]
) -> None:
    """Look at `condition` until it is true. Raises NeverHappened, with `account` of what may explain it."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise NeverHappened(f"{what}: not within {timeout_s:g} s\n{account()}")
        time.sleep(look_again_s)
