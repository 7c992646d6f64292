"""Room for the next moment: assured before a save, and never by deleting what exists nowhere else.

Exported moments leave first, oldest first. One that no stick has is deleted only if the owner chose
`when_full = "oldest"`.
"""

import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Literal, TypeVar

from missed_moment.clips.catalogue import Catalogue, ExportRecord, Moment
from missed_moment.clips.instant import Instant
from missed_moment.errors import StoreFullError

log = logging.getLogger(__name__)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DELETIONS = 2
"""Moments deleted for one step at most: each is larger than any step, and a disk may be full for another reason."""
_Result = TypeVar("_Result")

SETTLED = timedelta(minutes=2)
"""A moment stays so long at least after it was copied: another stick may be in, and get it too."""
RESERVE = 16 * 1024 * 1024
"""Bytes that always stay free: directories, records, and the file system's own book-keeping."""


def to_leave(moments: Sequence[Moment], missing: int, when_full: Literal["stop", "oldest"]) -> list[Moment]:
    """Choose the moments that leave so that `missing` bytes become free. Pure; oldest first in `moments`.

    Raises StoreFullError where that is not to be had; then none should be deleted.
    """
    candidates = [moment for moment in moments if moment.exported]
    if when_full == "oldest":
        candidates += [moment for moment in moments if not moment.exported]
    leaving = []
    for moment in candidates:
        if missing <= 0:
            break
        leaving.append(moment)
        missing -= moment.size
    if missing > 0:
        raise StoreFullError(
            f"no room for another moment: {missing / 1e6:.0f} MB are missing and "
            f"{sum(not moment.exported for moment in moments)} moments are on no stick yet. Plug in a USB stick"
        )
    return leaving


def expired(moments: Iterable[Moment], keep: timedelta, now: Instant) -> list[Moment]:
    """Choose the moments whose verified copies were made at least `keep` ago, as far as that is known. Pure."""
    return [moment for moment in moments if moment.exported and _is_old(moment.exported, keep, now)]


def _is_old(record: ExportRecord, keep: timedelta, now: Instant) -> bool:
    if not keep and not record.boot_id:  # of an earlier version, so before this one was installed
        return True
    return now.since(record.verified) >= max(keep, SETTLED)


def is_full(error: OSError) -> bool:
    """Whether an error is that of a full disk."""
    return error.errno in _FULL


class Room:
    """Keeps room in a store; exported moments stay for `keep` at most."""

    def __init__(self, catalogue: Catalogue, when_full: Literal["stop", "oldest"], keep: timedelta) -> None:
        self._catalogue = catalogue
        self._when_full = when_full
        self._keep = keep

    def assure(self, size: int) -> None:
        """Make sure that `size` bytes can be written. Raises StoreFullError, OSError as the disk does."""
        for moment in self._leaving(size):
            log.warning("deleting %s to make room%s", moment.path.name, "" if moment.exported else ", never exported")
            self._catalogue.remove(moment)

    def making(self, step: Callable[[], _Result]) -> _Result:
        """Do a step that writes; if the disk is full, delete moments as `assure` does and do it again.

        Raises what the step raises, also if nothing may be deleted. The step must be one that can be done again.
        """
        for _ in range(_DELETIONS):
            try:
                return step()
            except OSError as error:
                if not is_full(error) or not self._delete_first():
                    raise
        return step()

    def tidy(self, moments: Iterable[Moment], now: Instant) -> int:
        """Delete those that a stick has had for long enough; returns how many. Raises OSError as the disk does."""
        leaving = expired(moments, self._keep, now)
        for moment in leaving:
            log.info("%s was copied and verified long enough ago: deleted here", moment.path.name)
            self._catalogue.remove(moment)
        return len(leaving)

    def check(self, size: int) -> None:
        """Raise StoreFullError if `assure(size)` would. Deletes nothing."""
        self._leaving(size)

    def _delete_first(self) -> bool:
        """Delete the moment that leaves first; False if none may."""
        try:
            moment, *_ = to_leave(self._catalogue.moments(), 1, self._when_full)
        except StoreFullError:
            return False
        log.warning("the disk is full: deleting %s%s", moment.path.name, "" if moment.exported else ", never exported")
        self._catalogue.remove(moment)
        return True

    def _leaving(self, size: int) -> list[Moment]:
        missing = size + RESERVE - self._catalogue.disk.free(self._catalogue.root)
        return to_leave(self._catalogue.moments(), missing, self._when_full) if missing > 0 else []
