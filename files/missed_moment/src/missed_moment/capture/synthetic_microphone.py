"""A microphone without hardware: real time, and a sound that belongs to the synthetic camera's picture."""

import numpy as np

from missed_moment import clock
from missed_moment.capture.chirping import sound_at
from missed_moment.capture.microphone import SoundSink
from missed_moment.capture.worker import Worker
from missed_moment.clock import NS
from missed_moment.packets import SAMPLE_RATE, PcmBlock

PERIOD = SAMPLE_RATE // 50
"""Samples in a block."""
_MARK = np.random.default_rng(seed=6).integers(-1, 1, size=128, endpoint=True)
MARK = _MARK.astype("<i2").tobytes()
"""What each block of silence begins with, to be searched for. Nobody hears it: one step of 65,536."""
_FULL_SCALE = 32767


class SyntheticMicrophone:
    """Hears a chirp at every whole second, with a sound card whose clock is `ppm` parts in a million too fast.

    `step_ns` is how far its samples are apart.
    """

    name = "synthetic"

    def __init__(self, ppm: float = 0.0) -> None:
        self.step_ns = NS / SAMPLE_RATE / (1 + ppm * 1e-6)
        self._worker = Worker("microphone")

    def start(self, sink: SoundSink) -> None:
        """Begin to listen. Raises nothing."""
        self._worker.start(lambda: self._listen(sink))

    def stop(self) -> None:
        """Stop listening."""
        self._worker.stop()

    def _listen(self, sink: SoundSink) -> None:
        start_ns, heard = clock.monotonic_ns(), 0
        while True:
            block = self.block(start_ns, heard)
            # A period is there when its last sample is.
            if self._worker.ends_within((block.end_ns - clock.monotonic_ns()) / NS):
                return
            sink(block)
            heard += PERIOD

    def block(self, start_ns: int, first_sample: int) -> PcmBlock:
        """Return the period that begins with `first_sample` of a card that was started at `start_ns`."""
        times_ns = start_ns % NS + (first_sample + np.arange(PERIOD)) * self.step_ns
        samples = (sound_at(times_ns / NS) * _FULL_SCALE).astype("<i2")
        samples[: len(_MARK)] += _MARK.astype("<i2")
        return PcmBlock(samples.tobytes(), start_ns + round(first_sample * self.step_ns), first_sample)
