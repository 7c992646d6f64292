"""Makes what a sound card delivers into one channel at `SAMPLE_RATE`."""

import numpy as np

from missed_moment.clock import NS
from missed_moment.packets import SAMPLE_RATE


class PcmConverter:
    """Mixes the channels of 16-bit PCM down, and resamples it by linear interpolation.

    ALSA's plug plugin does both, and better, wherever it can. This has a state: feed it blocks of one recording, in
    their order.
    """

    def __init__(self, rate: int, channels: int) -> None:
        """Set up for a card's samples a second and its channels."""
        self._rate = rate
        self._channels = channels
        self._last: float | None = None
        # Where the next sample lies after the last one that was seen, in parts of 1 / (rate * SAMPLE_RATE) s.
        self._ahead = 0

    def convert(self, data: bytes, begin_ns: int) -> tuple[bytes, int]:
        """Return samples at `SAMPLE_RATE`, and when the first of them was captured.

        `begin_ns` is when the first sample of `data` was captured. Of a block, up to one sample is held back.
        """
        if (self._rate, self._channels) == (SAMPLE_RATE, 1):
            return data, begin_ns
        mono = np.frombuffer(data, "<i2").reshape(-1, self._channels).mean(axis=1)
        if self._rate == SAMPLE_RATE:
            return _samples(mono), begin_ns
        if not len(mono):
            return b"", begin_ns
        # Position 0 is the sample before this block; of the very first, it is the same as the first.
        known = np.concatenate(([mono[0] if self._last is None else self._last], mono))
        if self._last is None:
            self._ahead = SAMPLE_RATE
        self._last = float(mono[-1])
        end = len(mono) * SAMPLE_RATE
        parts = np.arange(self._ahead, end, self._rate, dtype=np.int64)
        first_ns = begin_ns + round((self._ahead - SAMPLE_RATE) * NS / (self._rate * SAMPLE_RATE))
        self._ahead += len(parts) * self._rate - end
        return _samples(np.interp(parts / SAMPLE_RATE, np.arange(len(known)), known)), first_ns


def _samples(mono: "np.typing.NDArray[np.float64]") -> bytes:
    return np.rint(mono).astype("<i2").tobytes()
