"""Copy to a directory what it lacks, prove that the copies are right, and note that they exist.

A copy is written under another name, synced, read back from the device, compared, and only then given its name: a
file with a clip's name on a stick is a whole and true clip. Pulled at any point, the next time goes on from there.
"""

import errno
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue, Moment
from missed_moment.errors import ExportError
from missed_moment.export import gallery, sums
from missed_moment.export.directory import PART, Directory, opened, read_chunks, sha256
from missed_moment.export.gallery import Note
from missed_moment.export.page import Page

log = logging.getLogger(__name__)

FOLDER = "missed-moment"
"""The one directory on a stick that is ours."""

_RESERVE = 4 * 1024 * 1024  # for what lies beside the clips, and the file system's own tables


@dataclass
class Report:
    """What became of the moments of a store."""

    copied: list[str] = field(default_factory=list)
    already_there: int = 0
    failed: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def trouble(self) -> str:
        """What could not be copied, and why; empty when all was."""
        return "; ".join(self.failed)


@dataclass(frozen=True)
class Progress:
    """How far the copy is, in bytes."""

    name: str
    done: int
    total: int


class HandOver:
    """From a store to a directory."""

    def __init__(
        self,
        catalogue: Catalogue,
        target: Path,
        page: Page | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Set up; `target` is where the stick is mounted, and `FOLDER` in it is what is written."""
        self._catalogue = catalogue
        self._target = target
        self._page = page or Page()
        self._on_progress = on_progress
        self._done = 0
        self._total = 0

    def run(self) -> Report:
        """Copy what is missing, oldest first.

        Raises ExportError where the target cannot be used at all. What goes wrong with one moment is in the
        report, and the moment stays marked as not exported.
        """
        report = Report()
        with opened(self._target, FOLDER) as stick:
            moments = self._catalogue.moments()
            try:
                known = sums.parse(stick.read(sums.NAME, sums.MAX_BYTES))
                notes = gallery.parse(stick.read(gallery.NOTES, gallery.MAX_NOTES))
                there = {moment.sequence: _name_there(stick, known, moment) for moment in moments}
            except OSError as error:
                raise ExportError(f"{stick.path} cannot be read ({error.strerror}): use another stick") from error
            missing = []
            for moment in moments:
                if name := there[moment.sequence]:
                    self._describe(stick, notes, moment, name)
                else:
                    missing.append(moment)
            report.already_there = len(moments) - len(missing)
            self._total = sum(moment.size for moment in missing)
            for moment in missing:
                try:
                    name = self._hand_over(stick, known, moment)
                except OSError as error:
                    report.failed.append(f"{moment.path.name}: {_reason(error)}")
                    if error.errno == errno.ENOENT:  # deleted meanwhile
                        continue
                    if error.errno == errno.ENOSPC:
                        break
                    return report  # the stick is read-only, dying or gone: so it is for all
                else:
                    self._describe(stick, notes, moment, name)
                    report.copied.append(name)
                    report.size += moment.size
            try:
                self._page.write(stick, notes, report.trouble)
            except OSError as error:
                report.failed.append(f"{gallery.INDEX}: {_reason(error)}")
        return report

    def _hand_over(self, stick: Directory, known: dict[str, str], moment: Moment) -> str:
        """Make sure that a verified copy of one moment is on the stick; returns the copy's name."""
        source = os.open(moment.clip, os.O_RDONLY | os.O_CLOEXEC)
        try:
            name = moment.file_name(self._page.zone)
            if stick.size(name) == moment.size and stick.digest(name) == (digest := sha256(source)):
                log.info("%s was on the stick already, but not noted", name)
            else:
                name = _free_name(stick, name)
                digest = self._copy(stick, moment, source, name)
        finally:
            os.close(source)
        known[name] = digest
        stick.replace(sums.NAME, sums.render(known))
        try:
            self._catalogue.mark_exported(moment, digest)
        except FileNotFoundError:
            log.info("%s left the device while it was copied", moment.path.name)
        except OSError as error:
            raise ExportError(
                error.errno,
                f"{name} is copied and verified, but that cannot be noted in {moment.path} ({error.strerror})",
            ) from error
        return name

    def _describe(self, stick: Directory, notes: dict[str, Note], moment: Moment, name: str) -> None:
        """Lay a thumbnail beside a copy, and note what it is. A clip without its thumbnail is whole all the same."""
        if name not in notes:
            notes[name] = Note.of(moment, name, self._page.device)
        thumbnail = gallery.thumbnail_name(name)
        try:
            if not stick.exists(thumbnail):
                stick.replace(thumbnail, (moment.path / names.THUMBNAIL).read_bytes())
        except OSError as error:
            log.info("%s has no thumbnail (%s)", name, error.strerror)

    def _copy(self, stick: Directory, moment: Moment, source: int, name: str) -> str:
        if stick.free() < moment.size + _RESERVE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = name + PART
        hashed = hashlib.sha256()
        try:
            os.lseek(source, 0, os.SEEK_SET)
            stick.write(part, self._watched(read_chunks(source), hashed.update, name))
            if stick.digest(part) != hashed.hexdigest():
                raise ExportError(
                    errno.EIO, "what the stick gives back is not what was written to it: do not trust this stick"
                )
            stick.rename(part, name)
        except OSError:
            _try_remove(stick, part)
            raise
        return hashed.hexdigest()

    def _watched(self, chunks: Iterator[bytes], hashed: Callable[[bytes], None], name: str) -> Iterator[bytes]:
        for chunk in chunks:
            hashed(chunk)
            yield chunk
            self._done += len(chunk)
            self._on_progress(Progress(name, self._done, self._total))


def _name_there(stick: Directory, known: dict[str, str], moment: Moment) -> str | None:
    """Return what the stick calls its copy of a moment, which was verified when it was made; None where it has none.

    What was never exported is not there.
    """
    if moment.exported is None:
        return None
    copies = [name for name, digest in known.items() if digest == moment.exported.sha256]
    return next((name for name in copies if stick.size(name) == moment.size), None)


def _free_name(stick: Directory, name: str) -> str:
    """Give another moment's file (another device's, or from before the card was flashed anew) no reason to go."""
    path, number, free = Path(name), 1, name
    while stick.exists(free) and stick.size(free) != 0:  # an empty one is what a pull left of ours
        number += 1
        free = f"{path.stem}-{number}{path.suffix}"
    return free


def _try_remove(stick: Directory, name: str) -> None:
    try:
        stick.remove(name)
    except OSError as error:
        log.info("%s stays on the stick (%s); the next time removes it", name, error)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the stick is full: take files off it, or use another one for the rest"
    if error.errno == errno.EISDIR:
        return f"a directory is in the way in {FOLDER}: give it another name"
    return error.strerror or str(error)
