"""A sound card, through ALSA."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from missed_moment import clock
from missed_moment.capture.capture_times import is_plausible
from missed_moment.capture.microphone import SoundSink
from missed_moment.capture.pcm_converter import PcmConverter
from missed_moment.capture.worker import Worker
from missed_moment.clock import NS
from missed_moment.errors import MicrophoneError
from missed_moment.packets import SAMPLE_BYTES, SAMPLE_RATE, PcmBlock

log = logging.getLogger(__name__)

PERIOD = SAMPLE_RATE // 50
"""Samples in a block, 20 ms: each costs one interrupt and one short turn of our thread."""
PERIODS = 50
"""Blocks that the card's buffer holds, a second in all: so late we may be before a sample is lost."""
_LOST_NS = NS // 5
"""A block that begins so long after the end of the one before has a gap before it.

When the buffer has run over, ALSA throws away all of it. Not every version of pyalsaaudio says so (0.10 does not).
"""

_FORMATS = [
    (SAMPLE_RATE, 1),
    *((rate, channels) for rate in (SAMPLE_RATE, 44_100, 32_000, 16_000) for channels in (2, 1)),
]
"""Samples a second and channels that a card is asked for, in turn."""
_RATES = range(8_000, 192_001)
"""Samples a second that can be made use of."""


class Card(Protocol):
    """A card that was opened for recording, one channel at `SAMPLE_RATE`."""

    def read(self) -> tuple[bytes, int]:
        """Wait for samples; return them, and when the first of them was captured. None at all is possible.

        Raises MicrophoneError where the card is gone.
        """

    def close(self) -> None:
        """Let go of it."""


_SOUND = Path("/sys/class/sound")


def devices(sound: Path = _SOUND) -> dict[str, int]:
    """Return the cards that record, by the kernel's names and in its order, each with its first device that records.

    That is not always the card's device 0.
    """
    found: dict[str, int] = {}
    numbers = [path.name.removeprefix("pcmC").removesuffix("c").split("D") for path in sound.glob("pcmC*D*c")]
    for card, device in sorted((int(card), int(device)) for card, device in numbers):
        try:
            name = (sound / f"card{card}" / "id").read_text().strip()
        except OSError:
            continue  # it was unplugged just now
        found.setdefault(name, device)
    return found


def cards(sound: Path = _SOUND) -> list[str]:
    """List the cards that record, by the names that the kernel gives them, in its order."""
    return list(devices(sound))


def captured_ns(samples: int, told_ns: int, waiting: int, now_ns: int, rate: int = SAMPLE_RATE) -> int:
    """Return when the first of `samples` was captured: so many more were `waiting` at `told_ns`, says the card.

    It is not believed where that cannot be. Just after its buffer has run over, ALSA tells what was in memory by chance
    (seen: a time 1.4 million years ahead).
    """
    if not (is_plausible(told_ns, now_ns) and 0 <= waiting <= PERIOD * PERIODS):
        told_ns, waiting = now_ns, 0
    return told_ns - (waiting + samples) * NS // rate


class AlsaCard:
    """A card through pyalsaaudio: Debian's python3-alsaaudio, 0.10 or newer."""

    def __init__(self, name: str) -> None:
        """Open it; `plughw` converts what the card does not have, without a server. Raises MicrophoneError.

        Where that does not (some cards allow no other period, and a plugin may be missing), it is converted here.
        """
        try:
            import alsaaudio  # noqa: PLC0415 - not everywhere
        except ImportError as error:
            raise MicrophoneError(f"no sound is recorded ({error}): `apt install python3-alsaaudio`") from error
        self._error = alsaaudio.ALSAAudioError
        self._name = name
        refused: Exception | None = None
        for rate, channels in dict.fromkeys(_FORMATS):
            try:
                pcm = self._opened(alsaaudio, rate, channels)
            except (alsaaudio.ALSAAudioError, RuntimeError) as error:
                refused = refused or error
                continue
            # What a card cannot do, pyalsaaudio passes over, and info() tells what it does instead.
            got = pcm.info()
            if got["format"] == alsaaudio.PCM_FORMAT_S16_LE and got["rate"] in _RATES and got["channels"] >= 1:
                self._pcm, self._rate, self._channels = pcm, got["rate"], got["channels"]
                self._converter = PcmConverter(self._rate, self._channels)
                return
            pcm.close()
        if refused is not None:
            raise MicrophoneError(f"the microphone {name} cannot be opened ({refused}): is it in use?") from refused
        raise MicrophoneError(f"the microphone {name} delivers no 16-bit samples at 8 to 192 kHz: use another")

    def _opened(self, alsaaudio: Any, rate: int, channels: int) -> Any:
        pcm = alsaaudio.PCM(
            alsaaudio.PCM_CAPTURE,
            alsaaudio.PCM_NORMAL,
            device=f"plughw:CARD={self._name},DEV={devices().get(self._name, 0)}",
            rate=rate,
            channels=channels,
            format=alsaaudio.PCM_FORMAT_S16_LE,
            periodsize=rate // 50,
            periods=PERIODS,
        )
        pcm.set_tstamp_mode(alsaaudio.PCM_TSTAMP_ENABLE)
        pcm.set_tstamp_type(alsaaudio.PCM_TSTAMP_TYPE_MONOTONIC)
        return pcm

    def read(self) -> tuple[bytes, int]:
        """Wait for a period. When it began, the card tells: how many samples were waiting at which time."""
        try:
            length, data = self._pcm.read()
        except self._error as error:
            raise MicrophoneError(f"the microphone {self._name} stopped ({error}): plug it in again") from error
        try:
            seconds, nanoseconds, waiting = self._pcm.htimestamp()
        except self._error:  # the buffer has run over since (snd_pcm_htimestamp returns EPIPE); what was read is good
            seconds = nanoseconds = waiting = 0
        samples = max(0, length)
        told_ns = seconds * NS + nanoseconds
        begin_ns = captured_ns(samples, told_ns, waiting, clock.monotonic_ns(), self._rate)
        return self._converter.convert(data[: samples * self._channels * SAMPLE_BYTES], begin_ns)

    def close(self) -> None:
        """Close it."""
        self._pcm.close()


class AlsaMicrophone:
    """One card, by name, or the first that records."""

    def __init__(
        self,
        card: str | None,
        open_card: Callable[[str], Card] = AlsaCard,
        find_cards: Callable[[], list[str]] = cards,
    ) -> None:
        """Set up; nothing is opened yet."""
        self.name = f"the microphone {card or ''}".rstrip()
        self._card = card
        self._open = open_card
        self._find = find_cards
        self._worker = Worker("microphone")

    def start(self, sink: SoundSink) -> None:
        """Begin to listen with the first card that opens. Raises MicrophoneError if there is none."""
        card = self._open_first(self._choose())
        self._worker.start(lambda: self._listen(card, sink))

    def stop(self) -> None:
        """Stop listening and close the card."""
        self._worker.stop()

    def _open_first(self, names: list[str]) -> Card:
        refused = []
        for name in names:
            try:
                return self._open(name)
            except MicrophoneError as error:
                refused.append(str(error))
        raise MicrophoneError("; ".join(refused))

    def _choose(self) -> list[str]:
        there = self._find()
        if not there:
            raise MicrophoneError(errno.ENODEV, "there is no microphone: plug one in, or set [sound] enabled = false")
        if self._card is not None and self._card not in there:
            raise MicrophoneError(
                errno.ENODEV, f"there is no microphone {self._card!r}: [sound] device may be {' or '.join(there)}"
            )
        return there if self._card is None else [self._card]

    def _listen(self, card: Card, sink: SoundSink) -> None:
        first_sample, expected_ns = 0, None
        try:
            while not self._worker.ends:
                data, begin_ns = card.read()
                if not data:
                    continue  # it ran over: what comes next says when it was captured
                if expected_ns is not None and begin_ns - expected_ns > _LOST_NS:
                    log.warning("%s lost %.1f s of sound", self.name, (begin_ns - expected_ns) / NS)
                    first_sample = 0
                block = PcmBlock(data, begin_ns, first_sample)
                first_sample, expected_ns = first_sample + block.samples, block.end_ns
                sink(block)
        finally:
            card.close()
