"""Counts frames as they come, and knows when the last one came."""

from collections import deque

from missed_moment import clock
from missed_moment.clock import NS
from missed_moment.frame_gaps import NEIGHBOURS, missing_frames
from missed_moment.packets import VideoPacket


class FrameMeter:
    """Frames seen and lost. `see` is called by one thread at a time; the rest may be read from any.

    A frame is known to be lost when `NEIGHBOURS` more have come: until then, the camera may have slowed down.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.lost = 0
        self.first_arrival_ns: int | None = None
        self.last_arrival_ns: int | None = None
        self.fps: float | None = None
        self._last_pts_ns: int | None = None
        self._intervals: deque[int] = deque(maxlen=2 * NEIGHBOURS + 1)

    def begin(self) -> None:
        """Note that a camera starts (again): frames that it did not deliver before that are not lost."""
        for index in range(max(0, len(self._intervals) - NEIGHBOURS), len(self._intervals)):
            self._count_lost(index)
        self._intervals.clear()
        self._last_pts_ns = None
        self.last_arrival_ns = None

    def see(self, packet: VideoPacket) -> None:
        """Count one frame, and those that are missing before it."""
        self.seen += 1
        self.last_arrival_ns = clock.monotonic_ns()
        self.first_arrival_ns = self.first_arrival_ns or self.last_arrival_ns
        if self._last_pts_ns is not None:
            self._intervals.append(packet.pts_ns - self._last_pts_ns)
            if len(self._intervals) > NEIGHBOURS:
                self._count_lost(len(self._intervals) - 1 - NEIGHBOURS)
        self._last_pts_ns = packet.pts_ns

    def _count_lost(self, index: int) -> None:
        nominal_ns = NS / self.fps if self.fps else float("inf")
        self.lost += missing_frames(list(self._intervals), index, nominal_ns)
