"""When each sample of sound was captured. One clock, CLOCK_MONOTONIC, and the one place where a sample becomes a time.

A sound card counts samples by a crystal of its own, which is up to a few hundred parts in a million off: 200 ppm are
17 seconds a day. So samples are never counted to tell the time. Each block says when it was captured, but what it
says is late whenever somebody was busy: by a few milliseconds often, by 200 at times, and never early. What is
certain is that between two gaps the card's samples lie on one straight line through time, just below most of what
was said. That line is fitted anew to the last minute for each piece of sound that is saved: nothing adds up over
days.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from missed_moment.clock import NS
from missed_moment.packets import SAMPLE_RATE

Floats = NDArray[np.float64]

NOMINAL_NS = NS / SAMPLE_RATE
"""Nanoseconds from one sample to the next on a card whose clock is right."""
MAX_OFF = 500e-6
"""Clocks of sound cards are less off than this; what seems to be more is lateness."""
_BIN_NS = NS
_ROUNDS = 8


@dataclass(frozen=True)
class Line:
    """A straight line: sample `sample` was captured at `at_ns`, and each one `step_ns` after the one before."""

    sample: float
    at_ns: float
    step_ns: float

    def time_of(self, sample: float) -> float:
        """When a sample was captured, in nanoseconds of CLOCK_MONOTONIC."""
        return self.at_ns + (sample - self.sample) * self.step_ns

    def sample_at(self, at_ns: float) -> float:
        """Which sample was captured at that time; a fraction lies between two."""
        return self.sample + (at_ns - self.at_ns) / self.step_ns

    @property
    def ppm(self) -> float:
        """How much too fast the card's clock is, in parts in a million."""
        return (NOMINAL_NS / self.step_ns - 1) * 1e6


def fit(points: Sequence[tuple[int, int]]) -> Line:
    """Fit a line to (sample, said time in ns) of blocks that have no gap between them; one point at least.

    Of each second only the point that is least late counts. Through these goes a line of least squares, and then
    one through the half of them that lies lowest, again and again: lateness that lasts for seconds drops out as well.
    A good half of what is left may be late by anything. The result is exact to the usual jitter of an interrupt.
    """
    first_sample, first_ns = points[0]
    samples, late = _least_late(points, first_sample, first_ns)
    kept, slope, offset = np.ones(len(samples), dtype=bool), 0.0, float(late.min())
    for _ in range(_ROUNDS):
        slope, offset = _least_squares(samples[kept], late[kept])
        above = late - (offset + slope * samples)
        lowest = above <= np.median(above)
        if np.array_equal(lowest, kept):
            break
        kept = lowest
    return Line(first_sample, first_ns + offset, NOMINAL_NS + slope)


def _least_late(points: Sequence[tuple[int, int]], first_sample: int, first_ns: int) -> tuple[Floats, Floats]:
    """Return samples (from the first on) and by how much they are later than a right clock says, one for each second.

    Differences are taken in whole numbers: after a year a float no longer tells neighbouring samples apart.
    """
    samples = np.array([sample - first_sample for sample, _ in points], dtype=np.float64)
    late = np.array([at_ns - first_ns for _, at_ns in points], dtype=np.float64) - samples * NOMINAL_NS
    bins = (samples * NOMINAL_NS // _BIN_NS).astype(np.int64)
    order = np.lexsort((late, bins))
    _, first_of_bin = np.unique(bins[order], return_index=True)
    chosen = order[first_of_bin]
    return samples[chosen], late[chosen]


def _least_squares(samples: Floats, late: Floats) -> tuple[float, float]:
    """Return slope (ns a sample more than nominal, no more than a real card's) and offset of the best line."""
    middle = samples.mean()
    spread = float(np.square(samples - middle).sum())
    slope = float(((samples - middle) * (late - late.mean())).sum() / spread) if spread else 0.0
    slope = float(np.clip(slope, -MAX_OFF * NOMINAL_NS, MAX_OFF * NOMINAL_NS))
    return slope, float(late.mean() - slope * middle)
