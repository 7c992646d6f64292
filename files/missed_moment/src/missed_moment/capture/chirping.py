"""The synthetic microphone's sound: a chirp at every whole second, while the synthetic camera's picture flashes."""

import numpy as np
from numpy.typing import NDArray

from missed_moment.packets import SAMPLE_RATE

CHIRP_S = 0.03
"""How long a chirp is."""
_FROM_HZ, _TO_HZ = 1000.0, 5000.0
_LOUDNESS = 0.5


def sound_at(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sound (-1 to 1) at times in seconds of CLOCK_MONOTONIC: a chirp at each whole second, else silence.

    It rises in pitch, so that a matched filter finds it within a sample, and swells, so that it does not click.
    """
    into = seconds % 1
    phase = 2 * np.pi * (_FROM_HZ * into + (_TO_HZ - _FROM_HZ) / (2 * CHIRP_S) * into**2)
    swell = np.sin(np.pi * into / CHIRP_S) ** 2
    return np.where(into < CHIRP_S, _LOUDNESS * swell * np.sin(phase), 0.0)


def chirp() -> NDArray[np.float64]:
    """Return one chirp, at `SAMPLE_RATE`."""
    return sound_at(np.arange(round(CHIRP_S * SAMPLE_RATE)) / SAMPLE_RATE)
