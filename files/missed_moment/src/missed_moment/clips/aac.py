"""AAC-LC, the sound that every player of MP4 knows."""

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from missed_moment.packets import SAMPLE_RATE

FRAME = 1024
"""Samples in one frame."""
PRIMING = FRAME
"""Samples that come out before the first that went in: a frame can only be decoded with the one before it."""
BIT_RATE = 128_000
"""Bits a second. The encoder's fast way to choose quantisers is no worse there than the other, and half the work."""


class AacEncoder:
    """FFmpeg's own encoder, one channel at `SAMPLE_RATE`."""

    def __init__(self) -> None:
        context = av.CodecContext.create("aac", "w")
        assert isinstance(context, av.AudioCodecContext)  # noqa: S101 - for the type checker
        context.sample_rate = SAMPLE_RATE
        context.layout = "mono"
        context.format = "fltp"
        context.bit_rate = BIT_RATE
        context.time_base = Fraction(1, SAMPLE_RATE)
        context.options = {"aac_coder": "fast"}
        context.open()
        self._context = context
        self._waiting = np.zeros(0, dtype=np.float32)
        self._encoded = 0

    @property
    def config(self) -> bytes:
        """The AudioSpecificConfig that a decoder needs (ISO/IEC 14496-3, 1.6.2.1)."""
        return bytes(self._context.extradata or b"")

    def encode(self, samples: NDArray[np.float32]) -> list[bytes]:
        """Encode samples between -1 and 1; returns the frames that are ready, each `FRAME` samples long."""
        self._waiting = np.concatenate((self._waiting, samples))
        whole = len(self._waiting) // FRAME * FRAME
        frames = []
        for begin in range(0, whole, FRAME):
            frame = av.AudioFrame.from_ndarray(self._waiting[None, begin : begin + FRAME], format="fltp", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            frame.time_base = Fraction(1, SAMPLE_RATE)
            frame.pts = self._encoded
            self._encoded += FRAME
            frames += [bytes(packet) for packet in self._context.encode(frame)]
        self._waiting = self._waiting[whole:]
        return frames

    def finish(self) -> list[bytes]:
        """Return the frames that are still inside; silence fills up the last."""
        frames = self.encode(np.zeros(-len(self._waiting) % FRAME, dtype=np.float32))
        return frames + [bytes(packet) for packet in self._context.encode(None)]
