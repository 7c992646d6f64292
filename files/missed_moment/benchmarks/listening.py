"""(f) What listening costs, all the time: our share of it, from the card's answer to the ring."""

import threading
import time
from pathlib import Path
from typing import Any

from missed_moment.capture.alsa import PERIOD, AlsaMicrophone
from missed_moment.clock import NS
from missed_moment.errors import MicrophoneError
from missed_moment.packets import SAMPLE_BYTES, SAMPLE_RATE
from missed_moment.ring import Ring

MINUTES = 60


class _Card:
    """Has an hour of sound ready at once."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self._left = MINUTES * 60 * SAMPLE_RATE // PERIOD
        self._now_ns = 0

    def read(self) -> tuple[bytes, int]:
        if not self._left:
            raise MicrophoneError("an hour is over")
        self._left -= 1
        self._now_ns += PERIOD * NS // SAMPLE_RATE
        return bytes(bytearray(PERIOD * SAMPLE_BYTES)), self._now_ns

    def close(self) -> None:
        self.over.set()


def measure(_: Path) -> dict[str, Any]:
    """Listen to an hour, as fast as it goes."""
    card, ring = _Card(), Ring(70, 1 << 30)
    microphone = AlsaMicrophone(None, lambda _: card, lambda: ["card"])
    before = time.process_time()
    microphone.start(ring.push_pcm)
    card.over.wait()
    microphone.stop()
    cpu_s = time.process_time() - before
    return {"minutes": MINUTES, "cpu_s": cpu_s, "percent_of_a_core": 100 * cpu_s / (MINUTES * 60)}
