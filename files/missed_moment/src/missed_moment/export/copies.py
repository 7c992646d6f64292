"""Copies of moments on a stick: whether they are what they were, and what the store notes of them."""

import errno
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from missed_moment.clips.catalogue import Catalogue, Moment
from missed_moment.export.directory import Directory
from missed_moment.export.pulled import Pulled
from missed_moment.export.report import Report

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copy:
    """A copy on the stick of a moment that the store holds."""

    moment: Moment
    name: str
    sha256: str


def read_again(
    stick: Directory, copies: Iterable[Copy], pulled: Pulled, report: Report
) -> tuple[list[Copy], list[Copy]]:
    """Return the copies that are as they were written, and those that are not.

    One that cannot be read is in neither list, but in the report. Raises StickPulledError.
    """
    good: list[Copy] = []
    untrue: list[Copy] = []
    for copy in copies:
        pulled.check()
        try:
            (good if stick.digest(copy.name) == copy.sha256 else untrue).append(copy)
        except FileNotFoundError:  # its very name was written over
            untrue.append(copy)
        except OSError as error:
            report.fail(f"{copy.moment.path.name}: its copy cannot be read back ({error.strerror}): use another stick")
    return good, untrue


def reads_as(stick: Directory, name: str, digest: str) -> bool:
    """Tell whether a file on the stick has that content; one with a bad sector has not, and another name is taken."""
    try:
        return stick.digest(name) == digest
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False


def name_there(stick: Directory, known: dict[str, str], moment: Moment) -> str | None:
    """Return what the stick calls its copy of a moment, which was verified when it was made; None where it has none.

    What was never exported is not there.
    """
    if moment.exported is None:
        return None
    copies = [name for name, digest in known.items() if digest == moment.exported.sha256]
    return next((name for name in copies if stick.size(name) == moment.size), None)


def note_exported(catalogue: Catalogue, copies: Iterable[Copy], report: Report) -> bool:
    """Note in the store what is on the stick; False if any cannot be noted. It is on the stick all the same."""
    return _note(
        catalogue, copies, report, lambda copy: catalogue.mark_exported(copy.moment, copy.sha256), "copied and verified"
    )


def note_lost(catalogue: Catalogue, copies: Iterable[Copy], report: Report) -> None:
    """Note in the store that copies of an earlier time are not what they were."""
    _note(catalogue, copies, report, lambda copy: catalogue.mark_lost(copy.moment), "no longer whole on this stick")


def _note(
    catalogue: Catalogue, copies: Iterable[Copy], report: Report, note: Callable[[Copy], None], what: str
) -> bool:
    unnoted: dict[str, int] = {}
    for copy in copies:
        try:
            note(copy)
        except FileNotFoundError:
            log.info("%s left the device while it was copied", copy.moment.path.name)
        except OSError as error:
            why = error.strerror or str(error)
            log.warning("%s: that cannot be noted (%s): %s", copy.moment.path, why, what)
            unnoted[why] = unnoted.get(why, 0) + 1
    for why, number in unnoted.items():
        report.fail(f"{number} {what}, but the clip store {catalogue.root} cannot note that ({why}): check its disk")
    return not unnoted
