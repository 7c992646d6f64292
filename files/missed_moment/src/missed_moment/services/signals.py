"""SIGTERM and SIGINT for the exporter: blocked everywhere, and waited for by one thread."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from missed_moment.export.pulled import Pulled

log = logging.getLogger(__name__)

ENDINGS = frozenset({signal.SIGTERM, signal.SIGINT})
GRACE_S = 10.0
"""Longer, nothing may go on after the stick was pulled: not even a write that the kernel does not give up."""


@contextmanager
def pulled_by_signal(overdue: Callable[[], None] = lambda: None, grace_s: float = GRACE_S) -> Iterator[Pulled]:
    """Give a `Pulled` that a signal sets.

    If the block has not ended `grace_s` later, `overdue` is called and the process exits. The kernel unmounts what is
    mounted in its namespace then.
    """
    pulled, ended = Pulled(), threading.Event()

    def watch() -> None:
        received = signal.sigwait(ENDINGS)
        log.info("%s: ending", signal.Signals(received).name)
        pulled.set()
        if not ended.wait(grace_s):
            log.error("the stick did not answer within %.0f s after it was pulled: ending all the same", grace_s)
            overdue()
            os._exit(os.EX_TEMPFAIL)

    # Blocked before the thread starts, and so in every thread: a handler could run in the middle of anything.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_DFL)  # a signal that is ignored cannot be waited for
    threading.Thread(target=watch, name="endings", daemon=True).start()
    try:
        yield pulled
    finally:
        ended.set()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
