"""Plausible capture times: a driver's timestamps are checked against the clock before they are used."""

import logging
import time

from missed_moment import clock
from missed_moment.clock import NS

log = logging.getLogger(__name__)

STALE_NS = 10 * NS
"""A capture time further back than this is not that of the data that was just read."""
AHEAD_NS = NS // 2
"""A driver may state a frame's end before that has come (vivid does): this far ahead is no impossible time."""
_STEP_NS = 1000
"""Frames are at least this far apart: encoders count in microseconds, and two frames at one time confuse them."""


def is_plausible(stated_ns: int, now_ns: int, ahead_ns: int = 0) -> bool:
    """Whether data that was read at `now_ns` can have been captured at `stated_ns`, `ahead_ns` later at most."""
    return -ahead_ns <= now_ns - stated_ns <= STALE_NS


class CaptureTimes:
    """The capture times of one camera's frames on CLOCK_MONOTONIC, each later than the one before.

    Some drivers use CLOCK_REALTIME (uvcvideo, if its module parameter `clock` is set), and some timestamps are
    impossible (uvcvideo converts those of the webcam's own clock). One time in the future would empty the ring, which
    keeps a minute before the newest capture time.
    """

    def __init__(self, camera: str) -> None:
        """Set up; `camera` is its name in the journal."""
        self._camera = camera
        self._last_ns: int | None = None
        self._reported = False

    def of(self, stated_ns: int | None) -> int:
        """Return the capture time of a frame that has just been read; `stated_ns` is the driver's, None if it has none.

        A time on CLOCK_REALTIME is converted; the current time replaces an impossible one.
        """
        now_ns = clock.monotonic_ns()
        captured_ns = now_ns
        if stated_ns is not None:
            converted_ns = stated_ns - (time.time_ns() - now_ns)
            candidates = [at_ns for at_ns in (stated_ns, converted_ns) if is_plausible(at_ns, now_ns, AHEAD_NS)]
            captured_ns = next(iter(candidates), now_ns)
            if not candidates and not self._reported:
                self._reported = True
                log.warning(
                    "the capture times of the %s are impossible (%.1f s off): the current time is used",
                    self._camera,
                    (stated_ns - now_ns) / NS,
                )
        if self._last_ns is not None:
            captured_ns = max(captured_ns, self._last_ns + _STEP_NS)
        self._last_ns = captured_ns
        return captured_ns
