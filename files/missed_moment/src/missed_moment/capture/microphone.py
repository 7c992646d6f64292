"""What a microphone is to the rest of the house."""

from collections.abc import Callable
from typing import Protocol

from missed_moment.packets import PcmBlock

SoundSink = Callable[[PcmBlock], None]
"""Takes one block, from the microphone's own thread, and returns at once."""


class Microphone(Protocol):
    """Something that listens. Started and stopped any number of times, by one thread."""

    name: str

    def start(self, sink: SoundSink) -> None:
        """Begin to listen into `sink`.

        Raises MicrophoneError, saying what to do, where it cannot. A microphone that fails later just falls silent.
        """

    def stop(self) -> None:
        """Stop listening and let go of the device. Harmless when not started."""
