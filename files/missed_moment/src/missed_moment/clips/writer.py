"""From a take to a moment on disk.

The history goes out first, as fast as the disk takes it, and is synced: now it is kept, whatever happens next.
What is captured after the press follows, a fragment at a time. Then the file is finished, described, and
becomes visible by one rename.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from missed_moment import __version__, clock
from missed_moment.clips import names, thumbnail
from missed_moment.clips.catalogue import Catalogue, Moment, MomentInfo
from missed_moment.clips.growing import Fragment, GrowingClip
from missed_moment.clips.parts import Part, parts
from missed_moment.clips.room import Room, is_full
from missed_moment.clips.soundtrack import Soundtrack
from missed_moment.durable import replace_file
from missed_moment.errors import ClipError, MissedMomentError, StoreError
from missed_moment.ladder import Restarts
from missed_moment.packets import VideoFormat
from missed_moment.ring import Take

log = logging.getLogger(__name__)


class Board(Protocol):
    """What the computer can tell of itself; None where it cannot."""

    def temperature_c(self) -> float | None:
        """Temperature of the processor, in degrees Celsius."""

    def undervoltage(self) -> bool | None:
        """Whether the voltage was too low within the last five minutes."""


@dataclass(frozen=True)
class Label:
    """What is the same in every moment of this device: its name, how its camera is mounted, how late its sound is."""

    device: str
    rotation: int = 0
    offset_ms: float = 0.0


@dataclass(eq=False)
class Order:
    """One moment to be written; with sound if it is `audible`.

    The recorder may add `presses` until the take has ended, and set `withdrawn` at any time; the writer tells
    how far it is: `sequence` once it has one, `earlier` sequences if the format of the frames changed (each format
    becomes a moment of its own, which `continues` the one before), `kept` once the history is durable, and since when
    it has been waiting for the disk
    in `disk_since_ns`.
    """

    take: Take
    video: VideoFormat
    presses: tuple[int, ...]
    room: int
    audible: bool = False
    withdrawn: bool = False
    sequence: int | None = None
    earlier: tuple[int, ...] = ()
    continues: int | None = None
    kept: bool = False
    disk_since_ns: int | None = None

    @property
    def sequences(self) -> tuple[int, ...]:
        """The numbers of all moments that it has become, or is becoming."""
        return tuple(dict.fromkeys(number for number in (*self.earlier, self.sequence) if number is not None))

    def has_no_moment(self) -> None:
        """Note that its moments are deleted: their numbers may be other moments' from now on."""
        self.earlier, self.sequence = (), None

    @contextmanager
    def on_disk(self) -> Iterator[None]:
        """Mark that the disk is being waited for."""
        self.disk_since_ns = clock.monotonic_ns()
        try:
            yield
        finally:
            self.disk_since_ns = None


class MomentWriter:
    """Writes orders into a store, one after the other, in the thread that calls it."""

    def __init__(
        self,
        catalogue: Catalogue,
        room: Room,
        board: Board,
        label: Label,
        restarts: Callable[[], Restarts] = Restarts,
        wait_decided: Callable[[], None] = lambda: None,
    ) -> None:
        """Set up; `restarts` is asked what was started again so far, for each moment's record.

        `wait_decided` returns when no button is down any more that could still withdraw an order.
        """
        self._restarts = restarts
        self._wait_decided = wait_decided
        self._catalogue = catalogue
        self._room = room
        self._board = board
        self.label = label

    def write(self, order: Order, on_kept: Callable[[Order], None]) -> Moment | None:
        """Write one moment, calling `on_kept` as soon as its history is durable.

        Returns None if the order ended before there was a frame, or was withdrawn: what there is of it is then left for
        `Catalogue.forget`. Raises StoreError when the disk fails, BitstreamError where the
        camera sent what no clip can be made of. If the moment was not kept yet, nothing is left of it then; if it was,
        what was kept is finished and visible, or (where not even that can be written) lies in the store and is finished
        at the next start.
        """
        if not _begins(order):
            return None
        moment: Moment | None = None
        for part in parts(order.take):
            if order.withdrawn:
                return None
            if moment is not None:
                order.earlier, order.continues = (*order.earlier, moment.sequence), moment.sequence
                order.room = max(1, order.room - moment.size)
            try:
                written = self._write_part(order, part, on_kept)
            except MissedMomentError as error:
                if part.newest:
                    raise
                if order.sequence is not None:  # what there is of it is in the store, and finished at the next start
                    order.earlier, order.sequence = (*order.earlier, order.sequence), None
                log.warning("what was captured before the frames' format changed is not whole: %s", error)
                continue
            if written is None:
                return None
            moment = written
        return moment

    def _write_part(self, order: Order, part: Part, on_kept: Callable[[Order], None]) -> Moment | None:
        incoming = None
        try:
            with order.on_disk():
                self._catalogue.prepare()
                self._room.assure(order.room)
                order.sequence, incoming = self._room.making(self._catalogue.begin)
            return self._write(order, part, incoming, on_kept)
        except MissedMomentError:
            self._clear_up(order, part, incoming)
            raise
        except OSError as error:
            what = f"moment {order.sequence}" if order.sequence else "a moment"
            self._clear_up(order, part, incoming)
            raise StoreError(
                f"{what} {'ends early' if part.durable else 'could not be kept'} ({error.strerror}): "
                f"see that the disk of {self._catalogue.root} is sound and has room"
            ) from error

    def _write(self, order: Order, part: Part, incoming: Path, on_kept: Callable[[Order], None]) -> Moment | None:
        disk, path = self._catalogue.disk, incoming / names.CLIP
        sound = Soundtrack(part.first.pts_ns, self.label.offset_ms) if order.audible else None

        def create() -> GrowingClip:
            if path.exists():  # without a whole head, for want of room
                disk.remove(path)
            return GrowingClip(disk, path, part.first, order.video, self.label.rotation, sound)

        with order.on_disk():
            growing = self._room.making(create)
        with closing(growing) as clip:
            trouble = None
            try:
                for batch in part.batches():
                    if order.kept:  # room for what was kept is there, and each press since has made the moment longer
                        with order.on_disk():
                            self._room.assure(sum(len(packet.data) for packet in batch))
                    self._write_fragments(clip, clip.fragments(batch), order)
                    if order.withdrawn:
                        return None
                    if not part.durable:
                        self._make_durable(clip, order, part, incoming, on_kept)
                self._write_fragments(clip, clip.ending(), order)
            except (OSError, ClipError) as error:
                if not part.durable:
                    raise
                trouble = error  # what was kept is finished all the same
            self._wait_decided()  # until it is visible, no stick gets it
            if order.withdrawn:
                return None
            with order.on_disk():
                clip.cut()
                info = self._describe(clip, order, part)
                self._write_info(incoming, info)
                self._add_thumbnail(incoming, part.last_keyframe.data)
                self._room.making(partial(clip.finish, info.created_s))
                moment = self._room.making(partial(self._catalogue.publish, incoming))
        if trouble is not None:
            try:
                raise trouble
            finally:
                trouble = None  # or its traceback would keep this call, and with it the frames that were not written
        return moment

    def _make_durable(
        self, clip: GrowingClip, order: Order, part: Part, incoming: Path, on_kept: Callable[[Order], None]
    ) -> None:
        """The history is synced; once its names are, it is kept."""
        with order.on_disk():
            self._catalogue.sync(incoming)
        part.durable = True
        if part.newest and not order.kept:
            order.kept = True
            on_kept(order)
        with order.on_disk():  # should the power go before the end, this is what recovery finds besides the clip
            self._room.making(partial(self._catalogue.write_info, incoming, self._describe(clip, order, part)))

    def _write_fragments(self, clip: GrowingClip, fragments: Iterable[Fragment], order: Order) -> None:
        for fragment in fragments:
            if order.withdrawn:
                return
            with order.on_disk():
                self._room.making(partial(clip.write, fragment))
        with order.on_disk():
            clip.sync()

    def _write_info(self, incoming: Path, info: MomentInfo) -> None:
        """Write the final description; on a disk that stays full, the one of the instant it was kept must do."""
        try:
            self._room.making(partial(self._catalogue.write_info, incoming, info))
        except OSError as error:
            if not is_full(error) or not (incoming / names.INFO).exists():
                raise
            log.warning("%s keeps the description it has (%s)", incoming.name, error)

    def _describe(self, clip: GrowingClip, order: Order, part: Part) -> MomentInfo:
        start = clock.wall_time(clip.base_ns)
        assert order.sequence is not None  # noqa: S101 - given before the clip was created
        return MomentInfo(
            sequence=order.sequence,
            device=self.label.device,
            version=__version__,
            boot_id=clock.boot_id(),
            start_ns=clip.base_ns,
            presses_ns=order.presses,
            start=start.at,
            clock_certain=start.certain,
            clock_from_stick=start.from_stick,
            temperature_c=self._board.temperature_c(),
            undervoltage=self._board.undervoltage(),
            restarts=self._restarts(),
            sound=clip.sound_info(),
            continues=order.continues,
            continued=part.continued,
            **clip.facts(),
        )

    def _add_thumbnail(self, incoming: Path, keyframe: bytes) -> None:
        try:
            picture = thumbnail.from_keyframe(keyframe, self.label.rotation)
            self._room.making(partial(replace_file, self._catalogue.disk, incoming / names.THUMBNAIL, picture))
        except (ClipError, OSError) as error:  # no room for it, at worst
            log.warning("%s has no thumbnail: %s", incoming.name, error)

    def _clear_up(self, order: Order, part: Part, incoming: Path | None) -> None:
        """Remove what was not kept. Where even that fails, the next start does it."""
        if incoming is None or part.durable or order.withdrawn:
            return
        try:
            self._catalogue.discard(incoming)
            order.sequence = None
        except OSError as error:
            log.warning("%s could not be removed (%s); it is looked at again at the next start", incoming, error)


def _begins(order: Order) -> bool:
    """Wait for the frame that a moment begins with, just after start or after "forget"; False if none is wanted."""
    return order.take.first() is not None and not order.withdrawn
