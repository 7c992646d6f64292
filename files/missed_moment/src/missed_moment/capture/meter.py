"""Counts pictures as they come, and knows when the last one came."""

from missed_moment import clock
from missed_moment.clock import NS
from missed_moment.packets import VideoPacket


class FrameMeter:
    """Pictures seen and lost. `see` is called by one thread at a time; the rest may be read from any."""

    def __init__(self) -> None:
        self.seen = 0
        self.lost = 0
        self.first_arrival_ns: int | None = None
        self.last_arrival_ns: int | None = None
        self.fps: float | None = None
        self._last_pts_ns: int | None = None

    def begin(self) -> None:
        """A camera starts (again): what it did not deliver before that is not lost."""
        self._last_pts_ns = None
        self.last_arrival_ns = None

    def see(self, packet: VideoPacket) -> None:
        """Count one picture, and those that should have come since the one before."""
        self.seen += 1
        self.last_arrival_ns = clock.monotonic_ns()
        self.first_arrival_ns = self.first_arrival_ns or self.last_arrival_ns
        if self._last_pts_ns is not None and self.fps:
            self.lost += max(0, round((packet.pts_ns - self._last_pts_ns) * self.fps / NS) - 1)
        self._last_pts_ns = packet.pts_ns
