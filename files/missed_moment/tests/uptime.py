"""A recorder that has run for a week, in seconds: a ring that all of it went through, and presses on the way.

Time is simulated, everything that packets pass through is real. In between the presses sound comes in blocks of a
second and pictures one a second; around them it is as on a device.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from missed_moment.clips.writer import Order
from missed_moment.clock import NS
from missed_moment.durable import Disk, LocalDisk
from missed_moment.packets import SAMPLE_RATE, Packet, PcmBlock, VideoPacket
from missed_moment.ring import Ring
from rig import HookedDisk, writer_for
from sound_rig import PERIOD, SEEN, SoundCard, flashing_film, jitter

MINUTE_1, HOUR_24, DAY_7 = 60, 86_400, 7 * 86_400
BEFORE_S, AFTER_S = 60, 5
_RING_S = BEFORE_S + 10
_LATE_NS = NS // 5
_TINY = VideoPacket.of(b"\0\0\1\x65", 0, True)
_SECOND = bytes(SAMPLE_RATE * 2)

Blocks = Iterator[tuple[int, PcmBlock]]
"""When each block reaches the ring, and the block."""


@dataclass(frozen=True)
class Fault:
    """Something that happens to the sound in the minute before a press, or to the save after it."""

    hear: Callable[[float, int, int, int], Blocks]
    during: Callable[[], ExitStack] = ExitStack
    disk: Callable[[], Disk] = LocalDisk


def _hear(ppm: float, started_ns: int, from_ns: int, to_ns: int, late_ns: Callable[[int], int] | None = None) -> Blocks:
    card, at_ns = SoundCard(started_ns, ppm, late_ns or jitter(from_ns % 1000)), 0
    for block in card.hear(from_ns, to_ns):
        at_ns = max(at_ns, block.end_ns)  # who is late with one is late with those after it
        yield at_ns, block


def _overrun(ppm: float, started_ns: int, from_ns: int, to_ns: int) -> Blocks:
    lost_ns = to_ns - 25 * NS
    yield from _hear(ppm, started_ns, from_ns, lost_ns)
    yield from _hear(ppm, lost_ns + 3 * NS + 300_000_000, 0, to_ns)


def _late_reads(ppm: float, started_ns: int, from_ns: int, to_ns: int) -> Blocks:
    """Every block is read late by 200 ms, and a quarter of them are not even told right."""
    chance = itertools.count()
    for at_ns, block in _hear(ppm, started_ns, from_ns, to_ns, lambda _: _LATE_NS if next(chance) % 4 == 0 else 0):
        yield at_ns + _LATE_NS, block


def _replugged(ppm: float, started_ns: int, from_ns: int, to_ns: int) -> Blocks:
    """Another microphone, whose clock errs to the other side."""
    pulled_ns = to_ns - 35 * NS
    yield from _hear(ppm, started_ns, from_ns, pulled_ns)
    yield from _hear(-ppm, pulled_ns + 6 * NS + 123_456, 0, to_ns)


def _wall_clock_steps() -> ExitStack:
    """CLOCK_REALTIME jumps by an hour each time that it is asked, forward and back."""
    stack, steps = ExitStack(), itertools.count()
    said = mock.Mock(side_effect=lambda: (1_800_000_000 + 3600 * (next(steps) % 3 - 1)) * NS)
    stack.enter_context(mock.patch("time.time_ns", said))
    return stack


def _stalling() -> Disk:
    """A disk that stands still for a second at each tenth call, while sound is being encoded ahead of it."""
    calls, never = itertools.count(), threading.Event()
    return HookedDisk(lambda call, _: never.wait(1) if call == "writev" and next(calls) % 10 == 5 else None)


FAULTS = {
    "none": Fault(_hear),
    "overrun": Fault(_overrun),
    "wall clock steps": Fault(_hear, during=_wall_clock_steps),
    "late reads": Fault(_late_reads),
    "unplugged, replugged": Fault(_replugged),
    "stalled disk": Fault(_hear, disk=_stalling),
}


class Uptime:
    """A camera and a sound card that are switched on together, and a ring."""

    def __init__(self, ppm: float) -> None:
        self.ppm = ppm
        self.ring = Ring(_RING_S, 1 << 30)
        self.started_ns = 5 * NS + 111_111_111
        self._now_s = 0

    def press(self, at_s: int, fault: Fault, store: Path) -> Path:
        """Live until `at_s` after the start, press, and return the clip."""
        self._idle_until(at_s - _RING_S)
        press_ns = self.started_ns + at_s * NS
        to_ns = press_ns + AFTER_S * NS
        from_ns = max(self.started_ns, press_ns - _RING_S * NS)
        seconds = (to_ns - from_ns) // NS
        pictures: Iterator[tuple[int, Packet]] = (
            (packet.pts_ns + NS // 10, packet) for packet in flashing_film(from_ns, seconds)
        )
        sounds = fault.hear(self.ppm, self.started_ns, from_ns, to_ns)
        arriving = sorted([*pictures, *sounds], key=lambda pair: pair[0])
        take = None
        for at_ns, packet in arriving:
            if take is None and at_ns >= press_ns:
                take = self.ring.follow(press_ns - BEFORE_S * NS)
            push = self.ring.push_video if isinstance(packet, VideoPacket) else self.ring.push_pcm
            push(packet)  # type: ignore[arg-type]  # as the packet's kind is
        assert take is not None
        self.ring.end(take, to_ns)
        self.ring.cut(take)
        self._now_s = at_s + AFTER_S
        _, writer = writer_for(store, fault.disk())
        with fault.during():
            moment = writer.write(Order(take, SEEN, (press_ns,), room=1, audible=True), lambda _: None)
        assert moment is not None
        return moment.clip

    def _idle_until(self, at_s: int) -> None:
        """Let time pass, a second at a time."""
        samples = round(self._now_s * SAMPLE_RATE * (1 + self.ppm * 1e-6))
        for second in range(self._now_s, at_s):
            at_ns = self.started_ns + second * NS
            self.ring.push_video(_TINY._replace(pts_ns=at_ns))
            self.ring.push_pcm(PcmBlock(_SECOND, at_ns, samples // PERIOD * PERIOD))
            samples += SAMPLE_RATE
        self.ring.wipe()  # the seconds that were idled through hold nothing that could be looked at
