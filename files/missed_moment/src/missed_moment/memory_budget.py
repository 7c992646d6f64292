"""How much memory settings need, and the most of them that fits a board. Pure: the board's memory is an argument.

Nothing of the recorder can be swapped out, and on most boards no limit but the kernel's last resort ends a process
that takes too much. So the ring is bounded before it is filled: settings that are valid on a Raspberry Pi 5 would
need 1.5 GB for the ring alone, and a Zero 2 W has 0.4 GB in all.
"""

import math
from dataclasses import dataclass, replace

from missed_moment.config import Loaded, MomentSettings, Settings
from missed_moment.packets import SAMPLE_BYTES, SAMPLE_RATE
from missed_moment.ring import RingState

RING_MARGIN_S = 10
"""The ring holds this much more than a press asks for: a whole GOP, and an encoder that is behind."""
BYTES_MARGIN = 1.5
"""Encoders overshoot their bit rate when a lot moves."""
BACKLOG_RINGS = 3.0
"""What a stopped disk may hold up in RAM, in lengths of the ring: the ring itself, and what left it before it was
written. After that, presses are refused."""
MIN_BACKLOG_RINGS = 1.5
"""The least of that which settings must leave room for: a whole ring is being written, and half another comes.

What a press has taken is not written before the button is released, which is known after 5 s at the latest: the half
of the shortest ring is 7.5 s.
"""

RECORDER_BYTES = 140_000_000
"""The recorder without the payload of its ring. Measured on x86-64 with default settings: 74 MB with a full ring, 96 MB
while a moment is saved (glibc's and Python's allocators set as in missed-moment.service). The rest is for picamera2 and
libcamera, which could not be measured there."""
SYSTEM_BYTES = 100_000_000
"""Kernel, systemd, journald, udev, and one exporter (38 MB, measured while it copied)."""
RAW_BYTES = 30_000_000
"""The camera's raw buffers: six of 15 to 28 MB in all, by sensor mode."""
_FRAMES = 6
"""Buffers of whole frames that picamera2's video configuration asks for; 12 bits a pixel."""


@dataclass(frozen=True)
class RingSize:
    """The ring's bounds: its length in seconds, and the bytes that a second and all of it may have."""

    seconds: int
    bytes_per_s: float

    @property
    def max_bytes(self) -> int:
        """The bound of the whole ring."""
        return round(self.seconds * self.bytes_per_s)

    def overshoot(self, ring: RingState) -> float:
        """Return how many times as much as the bound a second of what is captured now has; 1 if it is within.

        The ring itself then holds fewer seconds, but what waits for a disk is counted in seconds.
        """
        if ring.seconds < 1:  # too little to tell
            return 1.0
        return max(1.0, ring.size / ring.seconds / self.bytes_per_s)


def ring_size(settings: Settings) -> RingSize:
    """Return the bounds of the ring that settings ask for."""
    video = settings.video.bitrate_mbps * 1e6 / 8 * BYTES_MARGIN
    return RingSize(settings.moment.before_s + RING_MARGIN_S, video + SAMPLE_RATE * SAMPLE_BYTES)


def needed_bytes(settings: Settings) -> int:
    """Return how much memory a board must have for settings."""
    return _fixed_bytes(settings) + math.ceil(MIN_BACKLOG_RINGS * ring_size(settings).max_bytes)


def backlog_rings(settings: Settings, memory_bytes: int | None) -> float:
    """Return how much a stopped disk may hold up on a board with that much memory (None: unknown)."""
    if memory_bytes is None:
        return BACKLOG_RINGS
    rings = (memory_bytes - _fixed_bytes(settings)) / ring_size(settings).max_bytes
    return min(BACKLOG_RINGS, max(MIN_BACKLOG_RINGS, rings))


def fit(loaded: Loaded, memory_bytes: int | None) -> Loaded:
    """Return settings that fit a board with that much memory (None: unknown), and a problem if these are others.

    Time before the press goes first, down to the default; then bit rate. Nothing becomes more than it was.
    """
    asked = loaded.settings
    if memory_bytes is None or needed_bytes(asked) <= memory_bytes:
        return loaded
    ring_bytes = max(0.0, (memory_bytes - _fixed_bytes(asked)) / MIN_BACKLOG_RINGS)
    fitting_s = math.floor(ring_bytes / ring_size(asked).bytes_per_s) - RING_MARGIN_S
    before_s = min(asked.moment.before_s, max(fitting_s, MomentSettings().before_s))
    # Rounded down to 0.1; the least that the settings allow is the least that makes sense.
    video_bytes_per_s = ring_bytes / (before_s + RING_MARGIN_S) - SAMPLE_RATE * SAMPLE_BYTES
    fitting_mbps = math.floor(video_bytes_per_s * 8 / BYTES_MARGIN / 1e5) / 10
    bitrate_mbps = min(asked.video.bitrate_mbps, max(fitting_mbps, 0.5))
    settings = asked.model_copy(
        update={
            "moment": asked.moment.model_copy(update={"before_s": before_s}),
            "video": asked.video.model_copy(update={"bitrate_mbps": bitrate_mbps}),
        }
    )
    problem = (
        f"[moment] before_s = {asked.moment.before_s} and [video] bitrate_mbps = {asked.video.bitrate_mbps:g} need a "
        f"board with {needed_bytes(asked) / 1e6:.0f} MB of memory, and this one has {memory_bytes / 1e6:.0f} MB: "
        f"before_s = {before_s} and bitrate_mbps = {bitrate_mbps:g} are used"
    )
    return replace(loaded, settings=settings, problems=(*loaded.problems, problem))


def _fixed_bytes(settings: Settings) -> int:
    """Return what is needed besides the payload."""
    frame = settings.video.width * settings.video.height * 3 // 2
    return SYSTEM_BYTES + RECORDER_BYTES + RAW_BYTES + _FRAMES * frame
