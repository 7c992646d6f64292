"""Copy to a directory what it lacks, prove that the copies are right, and note that they exist.

A copy is written under another name, synced, read back from the device, compared, and only then given its name: a
file with a clip's name on a stick is a whole and true clip. Pulled at any point, the next time goes on from there.

When everything is written, all copies of moments that the store still holds are read back once more, also those of an
earlier time, and only then the store notes any of them: a counterfeit stick that wraps around gives back each file
rightly, until a later one is written over it.

Three things may fail here, and are told apart: the store that is read (`SourceError`), the store that is written to
(noting), and the stick. Only what the stick does ends a run.
"""

import errno
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue, Moment, MomentInfo
from missed_moment.errors import ExportError, MissedMomentError, SourceError, SourceGoneError, reason
from missed_moment.export import gallery, sums
from missed_moment.export.copies import Copy, name_there, note_exported, note_lost, read_again, reads_as
from missed_moment.export.directory import PART, Directory
from missed_moment.export.gallery import Note
from missed_moment.export.page import HEALTH, Page
from missed_moment.export.pulled import Pulled
from missed_moment.export.report import Progress, Report
from missed_moment.export.source import Source
from missed_moment.export.sums import Sums

log = logging.getLogger(__name__)

FOLDER = "missed-moment"
"""The one directory on a stick that is ours."""

_RESERVE = 4 * 1024 * 1024  # for what lies beside the clips, and the file system's own tables
_ONE_NAME = {
    *(errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.ENAMETOOLONG),
    errno.EFBIG,  # FAT's files end at 4 GiB
}
"""Errors of a stick that are about one name on it, and not about the stick."""
_UNTRUE = "what the stick gives back is not what was written to it: do not trust this stick"


class HandOver:
    """From a store to a directory: `copy`, then `confirm`; or `run`, which does both."""

    def __init__(
        self,
        catalogue: Catalogue,
        target: Path,
        page: Page | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        pulled: Pulled | None = None,
    ) -> None:
        """Set up; `target` is where the stick is mounted, and `FOLDER` in it is what is written.

        When `pulled` is set, StickPulledError is raised at the next step.
        """
        self._catalogue = catalogue
        self._target = target
        self._page = page or Page()
        self._on_progress = on_progress
        self._pulled = pulled or Pulled()
        self._done = 0
        self._total = 0
        self._copies: list[Copy] = []  # new on the stick, or not noted yet
        self._noted: list[Copy] = []  # from an earlier time: what is written now may have overwritten them
        self._confirmed: list[Copy] = []
        self._tried: set[int] = set()
        self._broken = False
        self.report = Report()

    @property
    def unconfirmed(self) -> bool:
        """Whether there are copies that `confirm` has to read."""
        return bool(self._copies)

    def run(self) -> Report:
        """Copy what is missing, and confirm it. Raises ExportError where the target cannot be used at all."""
        self.copy()
        while self.unconfirmed:
            self.confirm(self._target)
        return self.report

    def copy(self) -> None:
        """Copy what is missing, oldest first, and lay the page beside it.

        Raises ExportError where the target cannot be used at all. What goes wrong with one moment is in the
        report. Nothing is noted in the store yet.
        """
        with Directory.create(self._target, FOLDER) as stick:
            self._copy_missing(stick)

    def _copy_missing(self, stick: Directory) -> None:
        try:
            known = _read_sums(stick)
            notes = gallery.parse(stick.read(gallery.NOTES, gallery.MAX_NOTES))
        except OSError as error:
            raise ExportError(f"{stick.path} cannot be read ({error.strerror}): use another stick") from error
        while moments := self._untried():
            self._tried.update(moment.sequence for moment in moments)  # more may have been pressed for meanwhile
            if not self._copy_all(stick, known, notes, moments):
                break
        self._beside(stick, known, notes)

    def _untried(self) -> list[Moment]:
        return [moment for moment in self._moments() if moment.sequence not in self._tried]

    def confirm(self, target: Path) -> None:
        """Read all copies once more, in the stick mounted at `target`, and note the new ones in the store.

        If only one of them is not as it was written, the stick is not trusted with any new one. An earlier copy that
        cannot be read as it was written counts as lost: its moment is not exported any longer. A moment that was
        finished meanwhile is copied then, and `unconfirmed` is true again.
        """
        copies, self._copies = self._copies, []
        noted, self._noted = self._noted, []
        with Directory.create(target, FOLDER) as stick:
            good, untrue = read_again(stick, copies, self._pulled, self.report)
            still, changed = read_again(stick, noted, self._pulled, self.report)
            lost = [copy for copy in noted if copy not in still]
            note_lost(self._catalogue, lost, self.report)
            if untrue or changed:
                self.report.failed += [f"{copy.moment.path.name}: {_UNTRUE}" for copy in (*untrue, *changed)]
                self._broken = True
                good.clear()
            if untrue or lost:
                self._remove_untrue(stick, untrue, lost)
            self.report.already_there -= sum(copy not in self._confirmed for copy in lost)
            self._confirmed = [copy for copy in (*self._confirmed, *good) if copy not in lost]
            self.report.copied = [copy.name for copy in self._confirmed]
            self.report.size = sum(copy.moment.size for copy in self._confirmed)
            self._noted = [*still, *good]
            if not note_exported(self._catalogue, good, self.report) or untrue or lost:
                self._write_health(stick)
            if not self._broken and self._untried():
                self._copy_missing(stick)

    def _moments(self) -> list[Moment]:
        try:
            self._catalogue.root.stat()
            return self._catalogue.moments(self._unreadable)
        except OSError as error:
            self.report.fail(f"the clip store cannot be read ({reason(error)}): check its disk")
            return []

    def _unreadable(self, path: Path, error: OSError) -> None:
        self.report.fail(
            f"{path.name}: {path / names.CLIP} cannot be read ({error.strerror}): check the disk of the store"
        )

    def _copy_all(self, stick: Directory, known: Sums, notes: dict[str, Note], moments: list[Moment]) -> bool:
        """Copy those of `moments` that are missing; False if the stick takes no more."""
        try:
            there = {moment.sequence: name_there(stick, known.known, moment) for moment in moments}
        except OSError as error:
            raise ExportError(f"{stick.path} cannot be read ({error.strerror}): use another stick") from error
        missing = [moment for moment in moments if not there[moment.sequence]]
        self.report.already_there += len(moments) - len(missing)
        self._total += sum(moment.size for moment in missing)
        for moment in sorted(moments, key=lambda moment: moment in missing):  # what is quick comes first
            self._pulled.check()
            try:
                with Source(self._catalogue.root, moment) as source:
                    info = self._info(source)
                    if name := there[moment.sequence]:
                        self._noted.append(Copy(moment, name, known.known[name]))
                    else:
                        name = self._copy_one(stick, known, source, info)
                    self._describe(stick, notes, source, info, name, known.known[name])
            except SourceGoneError as error:
                log.info("%s", error)
            except SourceError as error:
                self.report.fail(str(error))
            except OSError as error:
                self.report.fail(f"{moment.path.name}: {_stick_reason(error)}")
                if error.errno not in _ONE_NAME:  # the stick is full, read-only, dying or gone: so it is for all
                    self._broken = error.errno != errno.ENOSPC
                    return False
        return True

    def _info(self, source: Source) -> MomentInfo | None:
        """Return what is known of a moment; None also where that cannot be: year 1, or a length below zero."""
        info = source.info()
        try:
            if info is not None:
                info.start.astimezone(self._page.zone)
                Note.of(0, info, names.CLIP, "", "")
        except (ValueError, OverflowError) as error:
            log.warning("%s cannot be used (%s)", source.moment.path / names.INFO, error)
            return None
        return info

    def _copy_one(self, stick: Directory, known: Sums, source: Source, info: MomentInfo | None) -> str:
        """Make sure that a copy of one moment is on the stick and was read back; returns the copy's name."""
        moment = source.moment
        certain = info is not None and info.clock_certain
        name = names.file_name(moment.sequence, info.start.astimezone(self._page.zone) if info and certain else None)
        digest = source.sha256() if stick.size(name) == moment.size else ""
        if digest and reads_as(stick, name, digest):
            log.info("%s was on the stick already, but not noted", name)
        else:
            name = stick.free_name(name)
            digest = self._write(stick, source, name, info.start.timestamp() if info and certain else None)
        known.known[name] = digest
        self._copies.append(Copy(moment, name, digest))
        self.report.copied.append(name)
        self.report.size += moment.size
        try:
            stick.replace(sums.NAME, known.render())
        except OSError as error:
            if error.errno not in _ONE_NAME:
                raise
            self.report.fail(f"{sums.NAME}: {_stick_reason(error)}")
        return name

    def _write(self, stick: Directory, source: Source, name: str, modified_s: float | None) -> str:
        if stick.free() < source.moment.size + _RESERVE:
            raise OSError(errno.ENOSPC, "No space left")
        part = name + PART
        hashed = hashlib.sha256()
        try:
            stick.write(part, self._watched(source.chunks(), hashed.update, name), modified_s)
            if stick.digest(part) != hashed.hexdigest():
                raise ExportError(errno.EIO, _UNTRUE)
            stick.rename(part, name)
        except (OSError, MissedMomentError):
            stick.try_remove(part)
            raise
        return hashed.hexdigest()

    def _watched(self, chunks: Iterator[bytes], hashed: Callable[[bytes], None], name: str) -> Iterator[bytes]:
        for chunk in chunks:
            self._pulled.check()
            hashed(chunk)
            yield chunk
            self._done += len(chunk)
            self._on_progress(Progress(name, self._done, self._total))

    def _describe(
        self,
        stick: Directory,
        notes: dict[str, Note],
        source: Source,
        info: MomentInfo | None,
        name: str,
        digest: str,
    ) -> None:
        """Lay a thumbnail beside a copy, and note what it is. A clip without its thumbnail is whole all the same."""
        before = notes.get(name)
        try:
            notes[name] = Note.of(source.moment.sequence, info, name, digest, self._page.device)
        except ValueError as error:  # its number is none of ours
            log.warning("%s is not on the page (%s)", name, error)
            notes.pop(name, None)
            return
        thumbnail = gallery.thumbnail_name(name)
        try:
            if before is not None and before.sha256 == digest and stick.exists(thumbnail):
                return
            if (picture := source.thumbnail()) is not None:
                stick.replace(thumbnail, picture)
            else:
                stick.remove(thumbnail)  # of another moment that had this name
        except OSError as error:
            log.info("%s has no thumbnail (%s)", name, error.strerror)

    def _beside(self, stick: Directory, known: Sums, notes: dict[str, Note]) -> None:
        """Write what lies beside the clips: sums of what is there, notes, page and health.

        What is left of clips that were deleted from the stick goes: their sums, notes and thumbnails, by the names that
        we gave them. All else is its owner's.
        """
        self._pulled.check()
        with self._failing(sums.NAME):
            gone = [name for name in known.known if _is_ours(name, notes) and not stick.exists(name)]
            for name in gone:
                del known.known[name]
            if gone:
                stick.replace(sums.NAME, known.render())
        with self._failing(gallery.NOTES):
            for clip in [clip for clip in notes if names.is_file_name(clip) and not stick.exists(clip)]:
                thumbnail = gallery.thumbnail_name(clip)
                if stick.size(thumbnail) is not None:
                    stick.try_remove(thumbnail)
                del notes[clip]
        current = {
            clip: note for clip, note in notes.items() if note.sha256 in {"", known.known.get(clip, note.sha256)}
        }
        with self._failing(gallery.INDEX):
            self._page.write(stick, current, self.report.trouble)

    @contextmanager
    def _failing(self, name: str) -> Iterator[None]:
        """Report that a file beside the clips cannot be written, unless a broken stick was reported already."""
        try:
            yield
        except OSError as error:
            if self._broken:
                log.info("%s cannot be written (%s)", name, error.strerror)
            else:
                self.report.fail(f"{name}: {_stick_reason(error)}")

    def _remove_untrue(self, stick: Directory, untrue: list[Copy], lost: list[Copy]) -> None:
        """Remove new copies that are not true, as far as such a stick lets us, and strike out those and lost ones.

        The file of a lost one stays: its owner may have changed it.
        """
        for copy in untrue:
            stick.try_remove(copy.name)
        with self._failing(sums.NAME):
            known = _read_sums(stick)
            for copy in (*untrue, *lost):
                known.known.pop(copy.name, None)
            stick.replace(sums.NAME, known.render())

    def _write_health(self, stick: Directory) -> None:
        """Write `health.txt` once more, with what came after the page."""
        self._broken = True
        with self._failing(HEALTH):
            self._page.write_health(stick, self.report.trouble)


def _read_sums(stick: Directory) -> Sums:
    """Read the sums on a stick. A file that is too large for ours is set aside, with all that is in it."""
    if (stick.size(sums.NAME) or 0) > sums.MAX_BYTES:
        aside = stick.free_name(sums.NAME)
        stick.rename(sums.NAME, aside)
        log.info("%s is too large to be ours: it is called %s now", sums.NAME, aside)
    return sums.parse(stick.read(sums.NAME, sums.MAX_BYTES))


def _is_ours(name: str, notes: Mapping[str, Note]) -> bool:
    """Tell whether a line of the sums is ours: of a clip that has a note, or one of our names."""
    return name in notes or names.is_file_name(name)


def _stick_reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the stick is full: take files off it, or use another one for the rest"
    if error.errno == errno.EISDIR:
        return f"a directory is in the way in {FOLDER}: give it another name"
    return error.strerror or str(error)
