"""The clip store: which moments there are, and the few steps by which one appears, is marked and goes."""

import errno
import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from missed_moment.clips import names
from missed_moment.clips.instant import Instant
from missed_moment.clock import WallTime
from missed_moment.durable import Disk, alone_in, move_directory, overwrite, replace_file
from missed_moment.errors import ClipError, StoreError, reason
from missed_moment.ladder import Restarts

log = logging.getLogger(__name__)

_RECORD_BYTES = 1024 * 1024


class _Record(BaseModel):
    """A small JSON file in a moment's directory; what a later version adds to it is not an error."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Gap(_Record):
    """A stretch of a clip for which camera or microphone delivered nothing; seconds from the clip's start."""

    at_s: float
    length_s: float


class SoundInfo(_Record):
    """What is known of a clip's sound: where silence stands for it, and how much too fast the card's clock was."""

    card_ppm: float | None
    gaps: tuple[Gap, ...] = ()


class MomentInfo(_Record):
    """`moment.json`: what is known of a moment besides its pictures. Times in ns are CLOCK_MONOTONIC of `boot_id`."""

    sequence: int
    device: str
    version: str
    boot_id: str
    start_ns: int
    presses_ns: tuple[int, ...]
    start: datetime
    clock_certain: bool
    clock_from_stick: bool = False
    duration_s: float
    pictures: int
    width: int
    height: int
    gaps: tuple[Gap, ...] = ()
    sound: SoundInfo | None = None
    recovered: bool = False
    temperature_c: float | None = None
    undervoltage: bool | None = None
    restarts: Restarts | None = None
    continues: int | None = None
    """The moment before this one, if the format of the camera's frames changed between them."""
    continued: bool = False
    """Whether the moment after this one goes on with frames of another format."""

    @property
    def created_s(self) -> int:
        """Unix time for the file's own header; 0, which means unknown there, where the clock is not certain."""
        return int(self.start.timestamp()) if self.clock_certain else 0


class ExportRecord(_Record):
    """`exported.json`: the verified copy that exists of a moment elsewhere, and when it was verified."""

    sha256: str
    size: int
    at: datetime
    clock_certain: bool = False
    boot_id: str = ""
    monotonic_ns: int = 0

    @property
    def verified(self) -> Instant:
        """When it was verified, as far as the clocks knew. Notes of earlier versions have no boot."""
        return Instant(self.at, self.clock_certain, self.boot_id, self.monotonic_ns)


@dataclass(frozen=True)
class Moment:
    """A moment in the store; `size` in bytes is that of its clip."""

    path: Path
    sequence: int
    size: int
    exported: ExportRecord | None

    @property
    def clip(self) -> Path:
        """The video file."""
        return self.path / names.CLIP

    def info(self) -> MomentInfo:
        """Read what is known of it. Raises ClipError where `moment.json` is missing or not readable."""
        try:
            return MomentInfo.model_validate_json(_read_record(self.path / names.INFO))
        except (OSError, ValidationError) as error:
            raise ClipError(f"{self.path / names.INFO} cannot be used ({error}); its clip is not affected") from error

    def file_name(self, zone: tzinfo = UTC) -> str:
        """What its clip is called outside the store, where people see it: they live in a time zone."""
        try:
            info = self.info()
            return names.file_name(self.sequence, info.start.astimezone(zone) if info.clock_certain else None)
        except (ClipError, OverflowError):  # year 1 or 9999 is no date in some time zone
            return names.file_name(self.sequence, None)


class Catalogue:
    """The moments below `root`. Knows names and records, and nothing of video."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.root = root
        self.disk = disk
        self.incoming = root / names.INCOMING
        self.damaged = root / names.DAMAGED

    def prepare(self) -> None:
        """Create the store where it is not there yet. Raises StoreError."""
        try:
            self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
            if not self.incoming.is_dir():
                self.disk.mkdir(self.incoming)
                self.disk.sync_directory(self.root)
        except OSError as error:
            raise StoreError(
                f"the clip store {self.root} cannot be used ({error.strerror}): is its disk mounted, and "
                "is it owned by the user that the recorder runs as?"
            ) from error

    def moments(self, unreadable: Callable[[Path, OSError], None] = lambda _path, _error: None) -> list[Moment]:
        """List all moments, oldest first. What is no moment's directory is passed over.

        `unreadable` is called for each moment whose clip the disk does not let us look at.
        """
        found = []
        for path in self._directories(self.root):
            sequence = names.sequence_of(path.name)
            if sequence is None:
                continue
            try:
                size = (path / names.CLIP).stat().st_size
            except FileNotFoundError:  # no clip in it, or deleted since it was listed
                continue
            except OSError as error:
                unreadable(path, error)
                continue
            found.append(Moment(path, sequence, size, _export_record(path)))
        return sorted(found, key=lambda moment: moment.sequence)

    def leftovers(self) -> list[Path]:
        """List what was being written when something went wrong, oldest first."""
        return sorted(self._directories(self.incoming))

    def begin(self) -> tuple[int, Path]:
        """Give out the next sequence number, and a directory for the moment that gets it."""
        there = (*self._directories(self.root), *self.leftovers(), *self._directories(self.damaged))
        used = [names.number_of(path.name) for path in there]
        sequence = max([self._last_deleted(), *(number for number in used if number is not None)]) + 1
        path = self.incoming / names.directory_name(sequence)
        self.disk.mkdir(path)
        return sequence, path

    def sync(self, incoming: Path) -> None:
        """Return when the names of a moment that is being written are durable: that of its files, and its own."""
        self.disk.sync_directory(incoming)
        self.disk.sync_directory(self.incoming)

    def publish(self, incoming: Path) -> Moment:
        """Make a whole moment visible, by one rename; its files must be synced."""
        self.disk.sync_directory(incoming)
        path = self.root / incoming.name
        move_directory(self.disk, incoming, path)
        sequence = names.sequence_of(path.name)
        assert sequence is not None  # noqa: S101 - `begin` named it
        return Moment(path, sequence, (path / names.CLIP).stat().st_size, None)

    def set_aside(self, incoming: Path) -> Path:
        """Move a damaged moment, which was kept, to where nothing looks at it again; returns its new path."""
        if not self.damaged.is_dir():
            self.disk.mkdir(self.damaged)
        path = self.damaged / incoming.name
        move_directory(self.disk, incoming, path)
        return path

    def discard(self, incoming: Path) -> None:
        """Remove what never became a moment, overwritten if the disk still does that."""
        try:
            self._overwrite(incoming)
        except OSError as error:
            log.warning("%s is removed without being overwritten (%s)", incoming, error)
        self.disk.remove(incoming)

    def entomb(self, sequence: int) -> None:
        """Give a moment's directory, durably, the name of one that never comes back. Raises OSError."""
        tombstone = self._tombstone(sequence)
        for path in self._places(sequence):
            if path.is_dir() and not path.is_symlink() and not tombstone.is_dir():
                move_directory(self.disk, path, tombstone)

    def forget(self, sequence: int) -> None:
        """Delete a moment for good, whether it is whole or still being written. Nothing if there is none.

        Its directory is renamed first, durably: from then on it does not come back, whatever happens. Then what it
        holds is overwritten. Raises OSError; may be called again then, and must be before `recover`.
        """
        tombstone = self._tombstone(sequence)
        self.entomb(sequence)
        while tombstone.is_dir():  # there may be another of that number
            self.bury(tombstone)
            self.entomb(sequence)

    def delete(self, sequence: int) -> None:
        """Delete a kept moment for good, as `forget` does. Raises StoreError if there is none, or the disk fails."""
        _, _, *begun = (*self._places(sequence), self._tombstone(sequence))
        if sequence not in {moment.sequence for moment in self.moments()} and not any(path.is_dir() for path in begun):
            raise StoreError(
                f"there is no moment {sequence} in {self.root}: `missed-moment clips` lists the moments. One that is "
                "still being saved can be deleted when it is finished"
            )
        try:
            self.forget(sequence)
        except OSError as error:
            raise StoreError(
                f"moment {sequence} in {self.root} is not deleted ({reason(error)}): try again; if this stays so, "
                "erase or destroy the card"
            ) from error

    def bury(self, tombstone: Path, wait: bool = True) -> None:
        """Finish what `forget` began. Nothing if there is no such tombstone.

        Without `wait`, a tombstone is left to whoever is burying one: that may be another process, or another thread.
        """
        sequence = names.sequence_of(tombstone.name.removeprefix(names.TOMBSTONE))
        if sequence is None or not tombstone.is_dir():
            return
        try:
            with alone_in(self.incoming, wait):
                if not tombstone.is_dir():
                    return
                self._overwrite(tombstone)
                try:
                    self._note_deleted(sequence)
                except OSError as error:  # at worst, another moment gets its number
                    log.warning("it is not noted that %s was deleted (%s)", tombstone.name, error)
                self.disk.remove(tombstone)
                self.disk.sync_directory(self.incoming)
        except BlockingIOError:
            log.info("%s is left to whoever is burying it", tombstone.name)

    def _tombstone(self, sequence: int) -> Path:
        return self.incoming / f"{names.TOMBSTONE}{names.directory_name(sequence)}"

    def _places(self, sequence: int) -> tuple[Path, ...]:
        """Where a moment may be: in the store, being written, set aside, and half deleted."""
        name = names.directory_name(sequence)
        return (self.root / name, self.incoming / name, self.damaged / name, self.incoming / f"{names.REMOVED}{name}")

    def remove(self, moment: Moment) -> None:
        """Delete a moment: it is out of sight at once and whole until then, also if the power goes now.

        A full disk has room to note its number only afterwards; until then the name of its directory stands for it.
        Nothing if somebody else has deleted it.
        """
        grave = self.incoming / f"{names.REMOVED}{moment.path.name}"
        try:
            move_directory(self.disk, moment.path, grave)
        except FileNotFoundError:
            if moment.path.exists():
                raise
            return
        self.finish_removing(grave)

    def finish_removing(self, grave: Path) -> None:
        """Delete what is left of a moment that is being deleted, note its number, and remove its directory."""
        for path in grave.iterdir():
            self.disk.remove(path)
        sequence = names.number_of(grave.name)
        try:
            if sequence is not None:
                self._note_deleted(sequence)
        except OSError as error:
            log.warning("%s stays for now: its number cannot be noted (%s)", grave, error)
            return
        self.disk.remove(grave)

    def mark_exported(self, moment: Moment, sha256: str) -> None:
        """Note durably that a verified copy of `moment` is elsewhere. There may be several sticks at a time."""
        now = Instant.now()
        record = ExportRecord(
            sha256=sha256,
            size=moment.size,
            at=now.at,
            clock_certain=now.certain,
            boot_id=now.boot_id,
            monotonic_ns=now.monotonic_ns,
        )
        with alone_in(moment.path) as directory:
            replace_file(self.disk, directory / names.EXPORTED, record.model_dump_json(indent=1).encode())

    def mark_lost(self, moment: Moment) -> None:
        """Note durably that the copy of `moment` is no longer as it was: the moment counts as not exported again."""
        with suppress(FileNotFoundError), alone_in(moment.path) as directory:
            self.disk.remove(directory / names.EXPORTED)
            self.disk.sync_directory(directory)

    def write_info(self, incoming: Path, info: MomentInfo) -> None:
        """Write `moment.json`, durably."""
        replace_file(self.disk, incoming / names.INFO, info.model_dump_json(indent=1).encode())

    def redate(self, boot_id: str, wall_time: Callable[[int], WallTime]) -> None:
        """Date the moments of this boot anew that were taken when the clock was not certain: more is known by now."""
        for moment in self.moments():
            try:
                info = moment.info()
            except ClipError:
                continue
            if info.clock_certain or info.boot_id != boot_id:
                continue
            start = wall_time(info.start_ns)
            dated = {"start": start.at, "clock_certain": start.certain, "clock_from_stick": start.from_stick}
            self.write_info(moment.path, info.model_copy(update=dated))

    def _overwrite(self, directory: Path) -> None:
        with os.scandir(directory) as entries:
            files = [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
        for path in files:
            overwrite(self.disk, path)

    def _note_deleted(self, sequence: int) -> None:
        if sequence > self._last_deleted():
            replace_file(self.disk, self.root / names.LAST_SEQUENCE, f"{sequence}\n".encode())

    def _last_deleted(self) -> int:
        try:
            return int((self.root / names.LAST_SEQUENCE).read_text())
        except (OSError, ValueError):
            return 0

    @staticmethod
    def _directories(parent: Path) -> list[Path]:
        try:
            with os.scandir(parent) as entries:  # an inode that cannot be read takes no other with it
                return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []


def _export_record(path: Path) -> ExportRecord | None:
    try:
        return ExportRecord.model_validate_json(_read_record(path / names.EXPORTED))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be used (%s): the moment counts as not exported", path / names.EXPORTED, error)
        return None


def _read_record(path: Path) -> bytes:
    """Read a small file of the store, which operators may write to: never through a link, never waiting for a FIFO."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        return os.read(descriptor, _RECORD_BYTES)
    finally:
        os.close(descriptor)
