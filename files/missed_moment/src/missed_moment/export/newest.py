"""What time it may be: a stick carries files that a real computer wrote."""

import itertools
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from missed_moment.clock import BUILT, LIFETIME

_ENOUGH = 10_000
"""Names that are looked at; a stick may hold any number."""


def newest(place: Path) -> datetime | None:
    """Return when the newest file at the top of a stick was written; None where there is none with a possible time.

    Folders do not count, and so not our own: what we wrote was dated by the very clock that is in doubt. FAT does not
    say in which time zone, so this may be half a day off.
    """
    with os.scandir(place) as entries:
        seen = [entry.stat(follow_symlinks=False) for entry in itertools.islice(entries, _ENOUGH)]
    possible = range(int(BUILT.timestamp()), int((BUILT + LIFETIME).timestamp()))
    times = [status.st_mtime for status in seen if stat.S_ISREG(status.st_mode) and int(status.st_mtime) in possible]
    return datetime.fromtimestamp(max(times), UTC) if times else None
