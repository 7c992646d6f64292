"""(e) How far sound is from picture after a minute, a day and a week, whatever happens to it on the way.

Measured from finished clips alone: flashes by brightness, chirps by a matched filter. Beside picamera2's own way: its
encoder's audio thread is given the same samples, and its times are taken as a muxer would get them.
"""

import importlib
import sys
import types
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from kept import import_peer
from missed_moment.clock import NS
from missed_moment.packets import SAMPLE_RATE
from sound_rig import offsets_ms
from uptime import DAY_7, FAULTS, HOUR_24, MINUTE_1, Uptime

CLOCKS_PPM = (0, 200, -200)
TIMES_S = {"minute 1": MINUTE_1, "hour 24": HOUR_24, "day 7": DAY_7}


def measure(directory: Path) -> dict[str, Any]:
    """Press at each time, with each clock and each fault: one row for each."""
    rows: dict[str, Any] = {}
    for ppm in CLOCKS_PPM:
        peer = picamera2_ms(ppm)
        for name, fault in FAULTS.items():
            device = Uptime(ppm)
            for when, at_s in TIMES_S.items():
                clip = device.press(at_s, fault, directory / f"{ppm} {name} {when}")
                apart = np.abs(offsets_ms(clip))
                rows[f"{ppm:+d} ppm, {name}, {when}"] = {
                    "chirps": len(apart),
                    "p50_ms": float(np.percentile(apart, 50)),
                    "p95_ms": float(np.percentile(apart, 95)),
                    "max_ms": float(apart.max()),
                    "picamera2_ms": peer(at_s),
                }
    return rows


def picamera2_ms(ppm: float) -> Callable[[float], float]:
    """Return by how much picamera2 would place a sound too late (in ms) so many seconds after its recording began.

    Nothing disturbs it here: both streams begin at the same instant, and no sample is lost.
    """
    handle = _peer_encoder()._handle_audio_packet  # noqa: SLF001 - there is no other way to it
    given_us: list[int] = []
    stream = types.SimpleNamespace(codec_context=types.SimpleNamespace(time_base=Fraction(1, SAMPLE_RATE)))
    encoder = types.SimpleNamespace(
        audio_sync=-100_000,
        _first_audio_time=0,
        _audio_output_stream=stream,
        outputframe=lambda _frame, _key, timestamp, _packet, _audio: given_us.append(timestamp),
    )

    def late_ms(at_s: float) -> float:
        counted = round(at_s * SAMPLE_RATE * (1 + ppm * 1e-6))  # what the card has delivered by then
        handle(encoder, types.SimpleNamespace(pts=counted, dts=counted))
        return given_us[-1] / 1000 - at_s * NS / 1e6

    return late_ms


def _peer_encoder() -> Any:
    """Import picamera2's encoder without its camera half."""
    root = import_peer()
    for name, content in (
        ("libcamera", {"controls": None}),
        ("picamera2.formats", {}),
        ("picamera2.request", {"_MappedBuffer": None}),
        ("picamera2.encoders", {"__path__": [str(root / "encoders")]}),
    ):
        module = types.ModuleType(name)
        module.__dict__.update(content)
        sys.modules.setdefault(name, module)
    sys.modules["picamera2"].formats = sys.modules["picamera2.formats"]  # type: ignore[attr-defined]
    return importlib.import_module("picamera2.encoders.encoder").Encoder
