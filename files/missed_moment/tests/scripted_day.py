"""One day of a recorder, in seconds: a recovery, moments, one that grows, a hold, an outage, an export, a month later.

Time is simulated: packets were encoded before, and the clocks are set as they are pushed. Recorder, saver, store and
exporter are the real ones, with their threads. `live` lives through the day, and calls `at_step` before each step;
`assert_invariants` looks at what it left.
"""

import functools
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from missed_moment import clock
from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.writer import Order
from missed_moment.clock import NS
from missed_moment.durable import Disk, LocalDisk
from missed_moment.errors import MissedMomentError
from missed_moment.export.handover import HandOver
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.services import keeper, saver
from missed_moment.services.recorder import Recorder
from rig import SMALL, film, numbers_in, order_of, recording, store_moment, wait_for, writer_for

STEPS = ("start", "press", "grow", "press again", "hold", "forget", "outage", "export", "a month later", "stop")
_DAY_S, _AFTER_S, _FILM_S = 5, 30, 40
"""Which seconds of film the day and the time after it begin with; those before are in the store already."""
_START_NS = 10**6 * NS
_WALL_NS = 1_800_000_000 * NS
_MONTH_NS = 31 * 24 * 3600 * NS
FOREIGN = {"letter.txt": b"not ours", "holiday/beach.jpg": b"\xff\xd8 not ours either"}


class Clocks:
    """CLOCK_MONOTONIC, which only goes on, and the wall clock, which may be set at any time."""

    def __init__(self) -> None:
        self.now_ns, self.set_by_ns, self.certain = _START_NS, 0, False

    @contextmanager
    def ruling(self) -> Iterator[None]:
        """Make everything in this process read these clocks."""
        with (
            mock.patch.object(clock, "monotonic_ns", self._monotonic_ns),
            mock.patch.object(clock, "_kept_right", self._kept_right),
            mock.patch("time.time_ns", self._time_ns),
        ):
            yield

    def _monotonic_ns(self) -> int:
        return self.now_ns

    def _kept_right(self) -> bool:
        return self.certain

    def _time_ns(self) -> int:
        return _WALL_NS + self.now_ns - _START_NS + self.set_by_ns


class PreparedCamera:
    """A camera whose frames were encoded before; it films when it is told to."""

    name = "prepared"

    def __init__(self, clocks: Clocks, first_s: int) -> None:
        self._clocks = clocks
        self._sink: Callable[[VideoPacket], None] | None = None
        self._taken = round(first_s * SMALL.fps)
        self.number_at: dict[int, int] = {}

    def start(self, sink: Callable[[VideoPacket], None]) -> VideoFormat:
        self._sink = sink
        return SMALL

    def stop(self) -> None:
        """It films no more than it is told to."""

    def films(self, seconds: float) -> list[VideoPacket]:
        wait_for(lambda: self._sink is not None)
        assert self._sink is not None
        count, begin_ns = round(seconds * SMALL.fps), self._clocks.now_ns
        filmed = []
        for packet in film(_FILM_S)[self._taken : self._taken + count]:
            pts_ns = begin_ns + round(len(filmed) * NS / SMALL.fps)
            self.number_at[pts_ns] = self._taken + len(filmed)
            filmed.append(packet._replace(pts_ns=pts_ns))
            self._clocks.now_ns = begin_ns + round((len(filmed)) * NS / SMALL.fps)
            self._sink(filmed[-1])
        assert len(filmed) == count
        self._taken += count
        return filmed


@dataclass
class Day:
    """A store and a stick, and what was said and done with them."""

    store: Path
    stick: Path
    clocks: Clocks = field(default_factory=Clocks)
    kept: list[tuple[Order, set[int]]] = field(default_factory=list)
    """Orders that were reported as kept, and the numbers of the frames that were kept by then."""
    held: list[VideoPacket] = field(default_factory=list)
    """Frames that were there when a press became a hold."""
    forgotten: list[VideoPacket] = field(default_factory=list)
    ended: list[BaseException] = field(default_factory=list)
    """What ended a thread."""

    @property
    def kept_for_good(self) -> list[int]:
        """The numbers of the moments that were kept and not forgotten."""
        return [order.sequence or 0 for order, _ in self.kept if not order.withdrawn]


@functools.cache
def _before(parent: Path) -> Path:
    """Prepare what a day begins with: foreign files, moments of which two are exported, and what a power cut left."""
    place = parent / "before"
    store, stick, clocks = place / "clips", place / "stick", Clocks()
    stick.mkdir(parents=True)
    clocks.now_ns -= 3600 * NS
    with clocks.ruling():
        for _ in range(2):
            store_moment(store, seconds=1)
        HandOver(Catalogue(store, LocalDisk()), stick).run()
        store_moment(store, seconds=1)

        class Cut(Exception):  # noqa: N818 - nothing went wrong
            pass

        catalogue, writer = writer_for(store)
        packets = film(4)
        with suppress(Cut), mock.patch.object(type(catalogue), "publish", side_effect=Cut):
            writer.write(order_of(packets[:60], packets[60:]), lambda _: None)
    for name, content in FOREIGN.items():
        for parent_directory in (store, stick):
            path = parent_directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    return place


def begin(parent: Path, place: Path) -> Day:
    """Return a day that begins in `place`, with what is prepared once in `parent`."""
    shutil.copytree(_before(parent), place)
    return Day(place / "clips", place / "stick")


@contextmanager
def _recorder(day: Day, disk: Disk, camera: PreparedCamera) -> Iterator[Recorder]:
    def ended(failed: threading.ExceptHookArgs) -> None:
        assert failed.exc_value is not None
        day.ended.append(failed.exc_value)

    with (
        day.clocks.ruling(),
        mock.patch.object(threading, "excepthook", ended),
        mock.patch.object(keeper, "SILENCE_NS", 1 << 62),
        mock.patch.object(keeper, "START_NS", 1 << 62),
        mock.patch.object(saver, "_LOOK_S", 0.02),
        recording(day.store, disk, camera, after_s=1, before_s=2, limit_s=8) as recorder,
    ):
        reported = recorder._saver._on_kept

        def on_kept(order: Order) -> None:
            reported(order)
            day.kept.append((order, {camera.number_at[packet.pts_ns] for packet in order.take.history}))

        recorder._saver._on_kept = on_kept
        yield recorder


def _settle(day: Day, recorder: Recorder) -> None:
    """Let so much time pass that each window has ended, and wait for the disk."""
    day.clocks.now_ns += 4 * NS
    _tick(recorder)
    assert recorder.wait_saved(20) or day.ended


def _tick(recorder: Recorder) -> None:
    with recorder._changed:
        recorder._changed.notify_all()


def _looked(day: Day, recorder: Recorder) -> None:
    """Return when the store has been looked at from beginning to end: what is due to be deleted is."""
    looked, look = threading.Semaphore(0), recorder._saver._redate

    def counted() -> None:
        looked.release()
        look()

    with mock.patch.object(recorder._saver, "_redate", counted):
        for _ in range(2):
            while not looked.acquire(timeout=0.1):
                if day.ended:
                    return


def live(day: Day, disk: Disk, at_step: Callable[[str], None] = lambda _: None) -> None:
    """Live through the day with a store on `disk`."""
    camera = PreparedCamera(day.clocks, _DAY_S)
    at_step("start")
    with _recorder(day, disk, camera) as recorder:
        camera.films(3)
        at_step("press")
        recorder.press()
        camera.films(0.5)
        at_step("grow")
        recorder.press()
        camera.films(2.5)
        _settle(day, recorder)
        at_step("press again")
        recorder.press()
        camera.films(1)
        _settle(day, recorder)
        day.clocks.now_ns += 10 * NS
        at_step("hold")
        day.held += camera.films(2)
        recorder.forget(recorder.press(down=True))
        _settle(day, recorder)
        at_step("forget")
        day.forgotten += camera.films(2)
        recorder.forget()
        camera.films(1)
        at_step("outage")
        day.clocks.now_ns += 14 * 3600 * NS
        _tick(recorder)
        camera.films(1)
        recorder.press()
        camera.films(2)
        _settle(day, recorder)
        at_step("export")
        _export(day, disk)
        _looked(day, recorder)
        at_step("a month later")
        day.clocks.now_ns += _MONTH_NS
        _tick(recorder)
        _looked(day, recorder)
        camera.films(1)
        recorder.press()
        camera.films(1)
        _settle(day, recorder)
        at_step("stop")


def _export(day: Day, disk: Disk) -> None:
    """As an exporter does, with a stick that works."""
    with suppress(MissedMomentError):
        HandOver(Catalogue(day.store, disk), day.stick).run()


def assert_invariants(day: Day) -> None:
    """Start again with a disk that works, press once more, and look at everything that is there."""
    assert day.ended == []
    catalogue = Catalogue(day.store, LocalDisk())
    camera, before = PreparedCamera(day.clocks, _AFTER_S), len(day.kept_for_good)
    with _recorder(day, LocalDisk(), camera) as recorder:
        camera.films(2)
        recorder.press()
        camera.films(2)
        _settle(day, recorder)
        wait_for(lambda: catalogue.leftovers() == [])
    assert day.ended == []
    assert len(day.kept_for_good) == before + 1
    for directory in (day.store, day.stick):
        for name, content in FOREIGN.items():
            assert (directory / name).read_bytes() == content
    assert not (day.store / names.DAMAGED).exists()
    moments = catalogue.moments()
    for moment in moments:
        assert moment.info().sequence == moment.sequence
    clips = [moment.clip for moment in moments]
    copies = [path for path in day.stick.rglob("*.mp4") if path.is_file()]
    played = [numbers_of(clip) for clip in (*clips, *copies)]
    for order, numbers in day.kept:
        assert order.withdrawn or any(numbers <= each for each in played), f"moment {order.sequence} is gone"
    # Of the day before: two that were exported, one that was not, and one that a power cut left.
    for wanted in (range(30), range(30, 60), range(60, 90), range(60)):
        assert any(set(wanted) <= each for each in played), f"{wanted} is gone"
    files = [path for directory in (day.store, day.stick) for path in directory.rglob("*") if path.is_file()]
    held = b"".join(path.read_bytes() for path in files)
    keyframes = [packet for packet in (*day.held, *day.forgotten) if packet.keyframe]
    for packet in keyframes:  # each shows its number: no two are alike
        start, end = max(packet.nals, key=lambda nal: nal[1] - nal[0])
        assert packet.data[start:end] not in held, "what was forgotten is back"


_PLAYED: dict[str, set[int]] = {}


def numbers_of(clip: Path) -> set[int]:
    """Play a clip, which must be whole, and return the numbers of its frames."""
    digest = hashlib.sha256(clip.read_bytes()).hexdigest()
    if digest not in _PLAYED:
        _, numbers = numbers_in(clip)
        assert None not in numbers
        _PLAYED[digest] = {number for number in numbers if number is not None}
    return _PLAYED[digest]
