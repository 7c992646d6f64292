"""What the tests build their situations from: prepared pictures, disks that misbehave, recorders in a hurry."""

import errno
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np

from missed_moment.board import Board
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.capture.painting import burn_number, read_number
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.capture.synthetic_microphone import SyntheticMicrophone
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.inspect import Inspection, inspect_clip
from missed_moment.clips.room import Room
from missed_moment.clips.writer import Label, MomentWriter, Order
from missed_moment.clock import NS
from missed_moment.config import Loaded, MomentSettings, VideoSettings, parse
from missed_moment.durable import Disk, LocalDisk
from missed_moment.errors import CameraError, MicrophoneError
from missed_moment.packets import PcmBlock, VideoFormat, VideoPacket
from missed_moment.ring import Ring
from missed_moment.services.recorder import Recorder

SMALL = VideoFormat(256, 144, 30)
SMALL_SETTINGS = VideoSettings(width=256, height=144, fps=30, bitrate_mbps=0.5)


@functools.cache
def _filmed(pictures: int, video: VideoFormat, preset: str | None) -> tuple[VideoPacket, ...]:
    encoder = SoftwareEncoder(video, 500_000)
    if preset:
        encoder._context.options = {**encoder._context.options, "preset": preset}
    planes = np.full((video.height * 3 // 2, video.width), 128, dtype=np.uint8)
    packets = []
    for number in range(pictures):
        planes[: video.height] = 40 + number % 30
        burn_number(planes[: video.height], number)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        packets += encoder.encode(frame, round(number * NS / video.fps))
    return tuple(packets)


def film(seconds: float, start_ns: int = 0, video: VideoFormat = SMALL, preset: str | None = None) -> list[VideoPacket]:
    """Real H.264, a keyframe each second; picture n carries the number n and the time start + n / fps."""
    packets = _filmed(round(seconds * video.fps), video, preset)
    return [packet._replace(pts_ns=packet.pts_ns + start_ns) for packet in packets]


LARGER = VideoFormat(320, 240, 30)
FORMATS = {
    "ab": ({}, {"preset": "superfast"}),
    "aba": ({}, {"preset": "superfast"}, {}),
    "resize": ({}, {"video": LARGER}),
    "resize and back": ({}, {"video": LARGER}, {}),
}
"""What a camera may deliver within a minute in which it is started again: arguments of `film` for each start."""


def restarted_film(formats: str) -> list[list[VideoPacket]]:
    """Two seconds of each format, with a second without frames between them."""
    return [film(2, 3 * number * NS, **arguments) for number, arguments in enumerate(FORMATS[formats])]


def numbers_in(clip: Path) -> tuple[Inspection, list[int | None]]:
    """Decode a clip and read the number in each of its pictures."""
    numbers: list[int | None] = []
    seen = inspect_clip(clip, lambda frame: numbers.append(read_number(frame.reformat(format="gray").to_ndarray())))
    return seen, numbers


def assert_whole(clip: Path) -> list[int]:
    """No picture is missing inside the clip: their numbers follow one another. Returns them."""
    _, numbers = numbers_in(clip)
    assert None not in numbers
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return numbers


class HookedDisk:
    """A disk that calls `hook(name of the call, its arguments)` before each call: to fail, to wait, to note."""

    def __init__(self, hook: Callable[[str, tuple[Any, ...]], None], disk: Disk | None = None) -> None:
        self._hook = hook
        self._disk = disk or LocalDisk()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._disk, name)

        def hooked(*arguments: Any) -> Any:
            self._hook(name, arguments)
            return call(*arguments)

        return hooked


class FailingDisk(HookedDisk):
    """A disk whose `call` fails with `error`, after `skip` calls went well, until `mend`."""

    def __init__(self, call: str, error: int, skip: int = 0) -> None:
        super().__init__(self._fail)
        self._call, self._error, self._left = call, error, skip
        self.failed = 0
        self.mended = False

    def mend(self) -> None:
        self.mended = True

    def _fail(self, call: str, _: tuple[Any, ...]) -> None:
        if call != self._call or self.mended:
            return
        self._left -= 1
        if self._left < 0:
            self.failed += 1
            raise OSError(self._error, "injected")


WRITES = frozenset({"create", "mkdir", "writev", "rename"})
"""The calls that may need room."""


class FullDisk(HookedDisk):
    """A disk that is full from its write number `full_at` on, until a moment is deleted; that is room for the rest.

    How much is free it does not tell.
    """

    def __init__(self, full_at: int, relents: bool = True) -> None:
        super().__init__(self._fail)
        self._left, self._relents, self.mended = full_at, relents, False
        self.was_full = False

    def _fail(self, call: str, arguments: tuple[Any, ...]) -> None:
        if call == "remove" and self._relents and "removed-" in str(arguments[0]):
            self.mended = True
        # A moment gets its name in a directory that has room for it: its leftover was there before.
        if call not in WRITES or self.mended or (call == "rename" and "removed-" in str(arguments[1])):
            return
        self._left -= 1
        if self._left < 0:
            self.was_full = True
            raise OSError(errno.ENOSPC, "No space left on device")


class StoppedDisk(HookedDisk):
    """A disk that stops at its first write and answers nothing until `go`."""

    def __init__(self) -> None:
        self.reached, self._go = threading.Event(), threading.Event()
        super().__init__(self._wait)

    def go(self) -> None:
        self._go.set()

    def _wait(self, call: str, _: tuple[Any, ...]) -> None:
        if call in {"writev", "sync"}:
            self.reached.set()
            assert self._go.wait(60)


def writer_for(store: Path, disk: Disk | None = None) -> tuple[Catalogue, MomentWriter]:
    catalogue = Catalogue(store, disk or LocalDisk())
    catalogue.prepare()
    return catalogue, MomentWriter(catalogue, Room(catalogue, "stop", timedelta(days=30)), Board(), Label("test"))


def order_of(
    packets: list[VideoPacket],
    live: list[VideoPacket] = (),
    blocks: list[PcmBlock] = (),
    video: VideoFormat = SMALL,
) -> Order:
    """An order with `packets` and `blocks` as history, and `live` coming after the press; its take has ended."""
    ring = Ring(1000, 2**30)
    for packet in packets:
        ring.push_video(packet)
    for block in blocks:
        ring.push_pcm(block)
    take = ring.follow(packets[0].pts_ns if packets else 0)
    for packet in live:
        ring.push_video(packet)
    ring.cut(take)
    pressed_ns = packets[-1].pts_ns if packets else 0
    return Order(take, video, presses=(pressed_ns,), room=1, audible=bool(blocks))


def store_moment(store: Path, seconds: float = 2) -> None:
    """Put one more moment into a store."""
    catalogue, writer = writer_for(store)
    skipped = round(len(catalogue.moments()) * SMALL.fps)  # no two moments are alike
    writer.write(order_of(film(seconds + skipped / SMALL.fps)[skipped:]), lambda _: None)


@contextmanager
def recording(
    store: Path,
    disk: Disk | None = None,
    camera: Any = None,
    show: Callable[[Any], None] = lambda _: None,
    microphone: Any = None,
    written: str = "",
    wiring: Mapping[str, Any] | None = None,
    **moment: float,
) -> Iterator[Recorder]:
    """A recorder in a hurry: real time and a real encoder, but seconds where the device has minutes.

    `written` is what the owner's file says, besides what one press keeps. `wiring` are arguments of `Recorder` that
    few tests care for.
    """
    loaded = parse(written)
    assert not loaded.problems
    hurried = MomentSettings.model_construct(**{"before_s": 2, "after_s": 1, "limit_s": 6, **moment})
    small = SMALL_SETTINGS.model_copy(update=loaded.settings.video.model_dump(exclude_unset=True))
    settings = loaded.settings.model_copy(update={"moment": hurried, "video": small})
    camera = camera or SyntheticCamera(settings.video)
    recorder = Recorder(
        Loaded(settings), camera, microphone, store, disk or LocalDisk(), Board(), show, **(wiring or {})
    )
    recorder.start()
    try:
        yield recorder
    finally:
        assert recorder.stop(60)


def turn_of(thumbnail: Path, clip: Path) -> int:
    """By how many degrees clockwise a thumbnail is turned against the picture that was encoded."""
    with av.open(str(thumbnail)) as container:
        seen = next(container.decode(video=0)).reformat(format="gray").to_ndarray().astype(int)
    likeness: list[tuple[float, int]] = []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            for degrees in (0, 90, 180, 270):
                height, width = seen.shape if degrees % 180 == 0 else seen.shape[::-1]
                turned = np.rot90(frame.reformat(width, height, "gray").to_ndarray(), -degrees // 90)
                likeness.append((float(np.abs(turned - seen).mean()), degrees))
    return min(likeness)[1]


def wait_for(condition: Callable[[], bool], timeout_s: float = 20, look_s: float = 0.01) -> None:
    """Wait for something that nobody announces."""
    waited = threading.Event()
    for _ in range(round(timeout_s / look_s)):
        if condition():
            return
        waited.wait(look_s)
    raise AssertionError(f"waited {timeout_s} s in vain for {condition}")


def filled(recorder: Recorder, seconds: float = 2.0) -> None:
    """Wait until so much is in the ring."""
    wait_for(lambda: recorder.ring.state().seconds >= seconds)


def stored(store: Path) -> list[list[int]]:
    """The numbers of the pictures in each clip, oldest first; none of them has a hole."""
    return [assert_whole(moment.clip) for moment in Catalogue(store, LocalDisk()).moments()]


@contextmanager
def filled_recorder(store: Path, kept: Callable[[Order], None]) -> Iterator[Recorder]:
    """A recorder with a second in its ring, that calls `kept` for each order whose history is durable."""
    with recording(store, before_s=1, after_s=0.4) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 1)
        told = recorder._saver._on_kept

        def on_kept(order: Order) -> None:
            told(order)
            kept(order)

        recorder._saver._on_kept = on_kept
        yield recorder


class UnpluggableCamera(SyntheticCamera):
    """A camera that can be unplugged while it films, and plugged in again."""

    def __init__(self, video: VideoSettings = SMALL_SETTINGS) -> None:
        super().__init__(video)
        self._plugged = True

    def start(self, sink: Callable[[VideoPacket], None]) -> VideoFormat:
        if not self._plugged:
            raise CameraError(errno.ENODEV, "unplugged")
        return super().start(sink)

    def unplug(self) -> None:
        self._plugged = False
        self.stop()

    def plug(self) -> None:
        self._plugged = True


class UnpluggableMicrophone(SyntheticMicrophone):
    """A microphone that can be unplugged while it listens."""

    def __init__(self) -> None:
        super().__init__()
        self._plugged = True

    def start(self, sink: Callable[[PcmBlock], None]) -> None:
        if not self._plugged:
            raise MicrophoneError(errno.ENODEV, "unplugged")
        super().start(sink)

    def unplug(self) -> None:
        self._plugged = False
        self.stop()
