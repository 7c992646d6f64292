"""A take in parts: one for each format of its frames.

A camera that is started again may deliver another size, profile or preset. Its parameter sets then differ, and a clip
has room for those of one format only: what comes after a change fails in every player that decodes from `avcC`.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from missed_moment.clips.growing import gops
from missed_moment.clock import NS
from missed_moment.errors import BitstreamError
from missed_moment.h264 import ParameterSets
from missed_moment.packets import Packet, PcmBlock, VideoPacket
from missed_moment.ring import Take

FRAGMENT_NS = NS
"""Length of a fragment after the press, each synced: so much of a growing moment is at risk at most."""
_SOUND_NS = 2 * NS
"""How far sound may be ahead of the frames that belong to it."""


class Part:
    """Frames of one format and the sound around them: `history` at once, then what is captured after it.

    `newest` is True if no more of the take's history follows, `continued` (once all was read) if another part does.
    `durable` is the writer's note of whether the history is on the disk.
    """

    def __init__(self, history: list[VideoPacket], pcm: list[PcmBlock], live: "_Live | None") -> None:
        """Set up; `live` is what follows the history, None if another part does."""
        self.first = history[0]
        self.last_keyframe = next((packet for packet in reversed(history) if packet.keyframe), history[0])
        self.newest = live is not None
        self.durable = False
        self._history = history
        self._pcm = pcm
        self._live = live

    @property
    def continued(self) -> bool:
        """Whether frames of another format follow."""
        return self._live is None or self._live.following is not None

    def batches(self) -> Iterator[list[Packet]]:
        """Yield the history in one piece, then what is captured from then on, in pieces of a fragment each."""
        batch: list[Packet] = [*self._pcm, *self._history]
        self._history, self._pcm = [], []
        yield batch
        if self._live is None:
            return
        batch = []
        began_ns: int | None = None
        for packet in self._live.same_format(self.first):
            if isinstance(packet, VideoPacket):
                if began_ns is not None and (packet.keyframe or packet.pts_ns - began_ns >= FRAGMENT_NS):
                    yield batch
                    batch, began_ns = [], None
                began_ns = packet.pts_ns if began_ns is None else began_ns
            batch.append(packet)
        if batch:
            yield batch


def parts(take: Take) -> Iterator[Part]:
    """Yield the parts of a take in the order of capture; each must be read to its end before the next.

    The take must have a first frame. Its history is handed over to the parts.
    """
    groups = deque(_by_format(take.history))
    pcm = take.pcm_history
    take.forget_history()
    live = _Live(take.live(), [block for block in pcm if groups and block.pts_ns >= groups[-1][-1].pts_ns - NS])
    while groups:
        group = groups.popleft()
        last_ns = group[-1].pts_ns + _SOUND_NS if groups else None
        sound = [
            block
            for block in pcm
            if block.pts_ns >= group[0].pts_ns - NS and (last_ns is None or block.pts_ns < last_ns)
        ]
        part = Part(group, sound, None if groups else live)
        del group, sound
        if not groups:
            pcm = []
        yield part
    while live.following is not None:
        yield Part([live.following], live.sound_since(live.following.pts_ns - NS), live)


class _Live:
    """What is captured after the press, up to the next change of the format; `following` is the frame after that."""

    def __init__(self, packets: Iterator[Packet], sound: Iterable[PcmBlock]) -> None:
        """Set up; `sound` is the end of the history's."""
        self.following: VideoPacket | None = None
        self._packets = packets
        self._sound = deque(sound)

    def same_format(self, first: VideoPacket) -> Iterator[Packet]:
        self.following = None
        for packet in self._packets:
            if isinstance(packet, PcmBlock):
                self._sound.append(packet)
                while self._sound[0].pts_ns < packet.pts_ns - _SOUND_NS - NS:
                    self._sound.popleft()
            elif packet.keyframe and _differ(first, packet):
                self.following = packet
                return
            yield packet

    def sound_since(self, begin_ns: int) -> list[PcmBlock]:
        return [block for block in self._sound if block.pts_ns >= begin_ns]


def _by_format(packets: Iterable[VideoPacket]) -> Iterator[list[VideoPacket]]:
    group: list[VideoPacket] = []
    for gop in gops(packets):
        if group and _differ(group[0], gop[0]):
            yield group
            group = []
        group += gop
    if group:
        yield group


def _differ(first: VideoPacket, keyframe: VideoPacket) -> bool:
    """Whether two keyframes have different parameter sets. One that has none goes on with those before it."""
    sets = _sets(keyframe)
    return sets is not None and sets != _sets(first)


def _sets(keyframe: VideoPacket) -> ParameterSets | None:
    try:
        return ParameterSets.find(keyframe)
    except BitstreamError:
        return None
