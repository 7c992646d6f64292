"""Sound cards that refuse what they are asked for, as ALSA and pyalsaaudio do."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from missed_moment import clock
from missed_moment.capture import alsa
from missed_moment.capture.pcm_converter import PcmConverter
from missed_moment.clock import NS
from missed_moment.errors import MicrophoneError
from missed_moment.packets import SAMPLE_RATE

TONE_HZ = 400


class AlsaError(Exception):
    """Like `alsaaudio.ALSAAudioError`, which is no OSError."""


class Hardware:
    """What can be had of a card: its rates and channels. If `strict`, hw_params fails instead of choosing others."""

    def __init__(
        self, rates: tuple[int, ...], channels: tuple[int, ...], strict: bool = False, sample: int = 16
    ) -> None:
        self.rates, self.channels, self.strict, self.sample = rates, channels, strict, sample
        self.opened = self.closed = 0
        self.asked: list[tuple[int, int]] = []

    def module(self) -> SimpleNamespace:
        return SimpleNamespace(
            ALSAAudioError=AlsaError,
            PCM=lambda *_, **asked: Pcm(self, asked),
            **{name: name for name in ("PCM_CAPTURE", "PCM_NORMAL", "PCM_TSTAMP_ENABLE", "PCM_TSTAMP_TYPE_MONOTONIC")},
            PCM_FORMAT_S16_LE=16,
        )


class Pcm:
    """As pyalsaaudio's alsapcm_setup(): what cannot be set is passed over, and the rate is the nearest there is."""

    def __init__(self, hardware: Hardware, asked: dict[str, int]) -> None:
        hardware.asked.append((asked["rate"], asked["channels"]))
        self._hardware = hardware
        self.rate = min(hardware.rates, key=lambda rate: abs(rate - asked["rate"]))
        self.channels = asked["channels"] if asked["channels"] in hardware.channels else hardware.channels[0]
        if hardware.strict and (self.rate, self.channels) != (asked["rate"], asked["channels"]):
            raise AlsaError("Invalid argument")
        hardware.opened += 1
        self._frames, self._at = asked["periodsize"], 0

    def set_tstamp_mode(self, _: object) -> None:
        """As it is."""

    def set_tstamp_type(self, _: object) -> None:
        """As it is."""

    def info(self) -> dict[str, int]:
        return {"rate": self.rate, "channels": self.channels, "format": self._hardware.sample}

    def read(self) -> tuple[int, bytes]:
        at = np.arange(self._at, self._at + self._frames) / self.rate
        self._at += self._frames
        mono = 8000 * np.sin(2 * np.pi * TONE_HZ * at)
        # Two microphones hear the same, and noise that is the opposite in the other.
        frames = np.stack(
            [mono + (-1) ** number * 500 * (self.channels > 1) for number in range(self.channels)], axis=1
        )
        return self._frames, np.rint(frames).astype("<i2").tobytes()

    def htimestamp(self) -> tuple[int, int, int]:
        now_ns = clock.monotonic_ns()
        return now_ns // NS, now_ns % NS, 0

    def close(self) -> None:
        self._hardware.closed += 1


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setattr(alsa, "devices", dict)

    def plug(hardware: Hardware) -> Hardware:
        monkeypatch.setitem(sys.modules, "alsaaudio", hardware.module())
        return hardware

    return plug


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("rates", "channels"),
    [
        ((48_000,), (1,)),
        ((48_000,), (2,)),
        ((16_000,), (1,)),
        ((16_000,), (2,)),
        ((44_100,), (2,)),
        ((32_000,), (1, 2)),
    ],
)
def test_what_a_card_offers_becomes_one_channel_at_the_recorder_s_rate(
    plugged, rates: tuple[int, ...], channels: tuple[int, ...], strict: bool
) -> None:
    plugged(Hardware(rates, channels, strict))
    card = alsa.AlsaCard("Webcam")
    blocks = [card.read()[0] for _ in range(50)]
    heard = np.frombuffer(b"".join(blocks), "<i2").astype(float)
    assert abs(len(heard) - 50 * SAMPLE_RATE // 50 * (card._pcm._frames * 50 / card._rate)) <= SAMPLE_RATE / rates[0]
    expected = 8000 * np.sin(2 * np.pi * TONE_HZ * np.arange(len(heard)) / SAMPLE_RATE)
    assert np.abs(heard - expected)[4:].max() < 100


def test_a_card_that_offers_all_is_not_converted(plugged) -> None:
    hardware = plugged(Hardware((16_000, 48_000), (1, 2)))
    alsa.AlsaCard("Webcam").close()
    assert hardware.asked == [(SAMPLE_RATE, 1)]
    assert hardware.opened == hardware.closed == 1


@pytest.mark.parametrize(
    ("hardware", "words"),
    [(Hardware((4_000,), (1,), strict=True), "Invalid argument"), (Hardware((48_000,), (1,), sample=32), "16-bit")],
)
def test_a_card_of_no_use_is_reported_and_closed(plugged, hardware: Hardware, words: str) -> None:
    plugged(hardware)
    with pytest.raises(MicrophoneError, match=words):
        alsa.AlsaCard("Webcam")
    assert hardware.opened == hardware.closed


@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
def test_each_converted_block_begins_where_the_one_before_ended(rate: int) -> None:
    converter, frames = PcmConverter(rate, 1), rate // 50 + 1
    begin_ns, ends_ns, samples = 7 * NS, None, 0
    for number in range(500):
        data, at_ns = converter.convert(bytes(2 * frames), begin_ns + number * frames * NS // rate)
        assert ends_ns is None or abs(at_ns - ends_ns) < 50_000
        samples += len(data) // 2
        ends_ns = at_ns + len(data) // 2 * NS // SAMPLE_RATE
    assert abs(samples - 500 * frames * SAMPLE_RATE / rate) <= SAMPLE_RATE / rate + 1
    assert converter.convert(b"", 0)[0] == b""


def test_a_block_s_time_is_that_of_the_card_s_samples(plugged) -> None:
    plugged(Hardware((16_000,), (1,), strict=True))
    card = alsa.AlsaCard("Webcam")
    data, begin_ns = card.read()
    length_ns = len(data) // 2 * NS // SAMPLE_RATE
    assert 0 <= clock.monotonic_ns() - begin_ns - length_ns < NS
