"""The last minute, in RAM.

The ring holds groups of pictures (GOPs: a keyframe and what builds on it) and blocks of sound, and forgets
them by itself: bounded in seconds and in bytes, whichever is reached first. The capture threads push; a push
appends one reference and returns. A press takes a `Take`: the history by reference, then whatever is captured
from then on, in order and without a gap between the two.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from missed_moment.clock import NS
from missed_moment.packets import Packet, PcmBlock, VideoPacket


@dataclass(slots=True)
class Gop:
    """One keyframe and the pictures that cannot be decoded without it; `size` in bytes."""

    packets: list[VideoPacket]
    size: int

    @property
    def start_ns(self) -> int:
        """Capture time of the keyframe."""
        return self.packets[0].pts_ns


@dataclass(frozen=True)
class RingState:
    """What the ring holds: seconds of video, bytes of payload, pictures; and pictures it could not use."""

    seconds: float
    size: int
    pictures: int
    unusable: int


class Take:
    """What one moment will be made of: `history` at once, then live packets until the ring ends it.

    Filled by the ring, read by one thread. It holds references only, and the ring may forget what it holds.
    """

    def __init__(self, history: list[VideoPacket], pcm: list[PcmBlock], sound_ahead_ns: int) -> None:
        self.history = history
        self.pcm_history = pcm
        self.end_ns: int | None = None
        self._live: SimpleQueue[Packet | None] = SimpleQueue()
        self._read_ns = history[0].pts_ns if history else None
        self._video_over = False
        self._pcm_over = not pcm  # nothing to wait for where there is no sound
        self._sound_ahead_ns = sound_ahead_ns

    def first(self) -> VideoPacket | None:
        """Return the picture that the moment begins with; waits for one where there is no history.

        None where the take ended before there was one.
        """
        while not self.history:
            packet = self._live.get()
            if packet is None:
                self._live.put(None)  # for `live`
                return None
            if isinstance(packet, VideoPacket):
                self._read_ns = packet.pts_ns
                self.history = [packet]
            else:
                self.pcm_history.append(packet)
        return self.history[0]

    def live(self) -> Iterator[Packet]:
        """Yield what is captured from the press on; waits for it, and ends when the ring ends the take."""
        while (packet := self._live.get()) is not None:
            self._read_ns = packet.pts_ns
            if self._belongs(packet):  # it may have come before the end was known
                yield packet

    def forget_history(self) -> None:
        """Let go of the history, once it is written."""
        self.history, self.pcm_history = [], []

    def release(self) -> None:
        """Drop all packets that were not read, once nothing reads them any more. The take must have ended."""
        self.forget_history()
        with suppress(Empty):
            while True:
                self._live.get_nowait()
        self._live.put(None)  # for whatever still waits

    @property
    def read_ns(self) -> int | None:
        """Up to which capture time it was read: what came later is held in RAM for it. None before any picture."""
        return self._read_ns

    def _append(self, packet: Packet) -> bool:
        """Pass one packet on; False when all that lies before the end has come, so that the take is over.

        Sound and pictures arrive with different delays: each is waited for until it has passed the end.
        """
        belongs = self._belongs(packet)
        if belongs:
            self._live.put(packet)
        if isinstance(packet, VideoPacket):
            self._video_over = not belongs
        else:
            self._pcm_over = not belongs
        return not (self._video_over and self._pcm_over)

    def _belongs(self, packet: Packet) -> bool:
        if self.end_ns is None:
            return True
        ahead_ns = 0 if isinstance(packet, VideoPacket) else self._sound_ahead_ns
        return packet.pts_ns < self.end_ns + ahead_ns

    def _close(self) -> None:
        self._live.put(None)


class Ring:
    """GOPs and PCM of the last `seconds` seconds, `max_bytes` of payload at most.

    The time bound keeps at least `seconds` (if that much was captured): the oldest GOP leaves when the rest
    still covers them. The byte bound is strict, also for an encoder that never sends another keyframe: a GOP
    that alone is over it is dropped, and the next keyframe starts anew.
    Of sound, a take gets `sound_ahead_ns` more than of pictures: that of a microphone which is told to be ahead.
    """

    def __init__(self, seconds: float, max_bytes: int, sound_ahead_ns: int = 0) -> None:
        self._sound_ahead_ns = sound_ahead_ns
        self._span_ns = round(seconds * NS)
        self._max_bytes = max_bytes
        self._gops: deque[Gop] = deque()
        self._pcm: deque[PcmBlock] = deque()
        self._takes: list[Take] = []
        self._lock = threading.Lock()
        self._size = 0
        self._unusable = 0
        self._broken = True  # until a keyframe comes

    def push_video(self, packet: VideoPacket) -> None:
        """Append one picture. O(1); never waits for more than another push or a snapshot (0.1 ms)."""
        with self._lock:
            if packet.keyframe:
                self._gops.append(Gop([packet], len(packet.data)))
                self._broken = False
            elif self._broken:
                self._unusable += 1
                return
            else:
                gop = self._gops[-1]
                gop.packets.append(packet)
                gop.size += len(packet.data)
            self._size += len(packet.data)
            self._pass_on(packet)
            self._evict(packet.pts_ns)

    def push_pcm(self, block: PcmBlock) -> None:
        """Append one period of sound. O(1)."""
        with self._lock:
            self._pcm.append(block)
            self._size += len(block.data)
            self._pass_on(block)
            self._evict(block.pts_ns)

    def follow(self, start_ns: int) -> Take:
        """Take the history from the last keyframe at or before `start_ns` on (or what there is), and go on."""
        with self._lock:
            first = 0
            for index, gop in enumerate(self._gops):
                if gop.start_ns > start_ns:
                    break
                first = index
            video = [packet for gop in list(self._gops)[first:] for packet in gop.packets]
            base_ns = video[0].pts_ns if video else start_ns
            # A block begins before the first picture and reaches into it: one more at the front than begins there.
            pcm = [block for block in self._pcm if block.pts_ns >= base_ns - NS]
            take = Take(video, pcm, self._sound_ahead_ns)
            self._takes.append(take)
            return take

    def end(self, take: Take, end_ns: int) -> None:
        """Let `take` end before the first packet captured at or after `end_ns`."""
        with self._lock:
            take.end_ns = end_ns

    def cut(self, take: Take) -> None:
        """End `take` now: nothing more will come, or nothing more is wanted. Cutting twice is harmless."""
        with self._lock:
            if take in self._takes:
                self._takes.remove(take)
                take._close()  # noqa: SLF001 - Take and Ring are two halves of one thing

    def wipe(self) -> None:
        """Forget everything. What a press already took stays taken; video goes on with the next keyframe."""
        with self._lock:
            self._gops.clear()
            self._pcm.clear()
            self._size = 0
            self._broken = True

    def state(self) -> RingState:
        """Tell what is held now."""
        with self._lock:
            span = self._gops[-1].packets[-1].pts_ns - self._gops[0].start_ns if self._gops else 0
            pictures = sum(len(gop.packets) for gop in self._gops)
            return RingState(span / NS, self._size, pictures, self._unusable)

    def _pass_on(self, packet: Packet) -> None:
        # Almost always there is no take, and one at most while a moment is open.
        for take in self._takes:
            if not take._append(packet):  # noqa: SLF001
                self._takes = [other for other in self._takes if other is not take]
                take._close()  # noqa: SLF001

    def _evict(self, now_ns: int) -> None:
        oldest_wanted_ns = now_ns - self._span_ns
        gops, pcm = self._gops, self._pcm
        while len(gops) > 1 and (gops[1].start_ns <= oldest_wanted_ns or self._size > self._max_bytes):
            self._size -= gops.popleft().size
        # Sound is kept for as long as the pictures it belongs to, and one second before them (see `follow`).
        oldest_pcm_ns = max(oldest_wanted_ns, gops[0].start_ns) - NS if gops else oldest_wanted_ns
        while pcm and (pcm[0].pts_ns < oldest_pcm_ns or (self._size > self._max_bytes and len(gops) <= 1)):
            self._size -= len(pcm.popleft().data)
        if gops and self._size > self._max_bytes:
            dropped = gops.pop()
            self._size -= dropped.size
            self._unusable += len(dropped.packets)
            self._broken = True
