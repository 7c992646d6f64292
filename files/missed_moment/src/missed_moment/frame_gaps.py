"""Finds gaps between frames, relative to the frame rate around them: cameras slow down in low light."""

from collections.abc import Sequence

GAP = 1.5
"""Frames further apart than this many times the usual interval have a gap between them."""
NEIGHBOURS = 4
"""Intervals on each side that show the frame rate there; fewer slow ones are gaps, not a change of the frame rate."""


def missing_frames(intervals: Sequence[float], index: int, nominal: float) -> int:
    """Return how many frames are missing in one of the `intervals` between frames, all in the same unit.

    The slower of the two frame rates before and after it counts, so that the first frame at a lower rate is no gap.
    `nominal` is the interval to use if there is no other.
    """
    before = _usual(intervals[max(0, index - NEIGHBOURS) : index])
    after = _usual(intervals[index + 1 : index + 1 + NEIGHBOURS])
    usual = max(before, after)
    if usual <= 0:
        usual = nominal
    return max(1, round(intervals[index] / usual) - 1) if intervals[index] > GAP * usual else 0


def _usual(intervals: Sequence[float]) -> float:
    """Return the lower median, which a gap does not move; 0 if there is none."""
    return sorted(intervals)[(len(intervals) - 1) // 2] if intervals else 0
