"""Where things lie in the clip store, and what they are called.

clips/                     the store
  .incoming/moment-000042/ being written; never shown to anyone
  .damaged/moment-000041/  kept, but its clip is damaged so that it cannot be finished; nothing deletes it
  .incoming/forgotten-moment-000042/
                           a tombstone: what has this name is overwritten and removed, at the next start at the latest
  .last-sequence           the highest number ever given to a moment that was deleted
  .restarts.json           how often the board was started again for want of pictures (see `ladder`)
  moment-000042/           a moment, whole from the instant it has this name
    clip.mp4  moment.json  thumbnail.jpg
    exported.json          there once a verified copy of it is elsewhere
"""

import re
from datetime import datetime

INCOMING = ".incoming"
REMOVED = "removed-"
"""What a moment's directory in .incoming is called while it is being deleted: until its number is noted elsewhere."""
TOMBSTONE = "forgotten-"
"""The same of one that is forgotten: what has this name never becomes a moment again."""
DAMAGED = ".damaged"
LAST_SEQUENCE = ".last-sequence"
CLIP = "clip.mp4"
INFO = "moment.json"
THUMBNAIL = "thumbnail.jpg"
EXPORTED = "exported.json"

_MOMENT = re.compile(r"moment-(\d{6,})")
_FILE = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_)?moment-\d{6,}(-\d+)?\.mp4")


def directory_name(sequence: int) -> str:
    """Name a moment's directory; sorts by sequence."""
    return f"moment-{sequence:06d}"


def sequence_of(name: str) -> int | None:
    """Return the sequence that a directory's name carries, None where it is no moment's."""
    match = _MOMENT.fullmatch(name)
    return int(match[1]) if match else None


def number_of(name: str) -> int | None:
    """Return the sequence of a directory, also of one that is being deleted; None for any other."""
    return sequence_of(name.removeprefix(REMOVED).removeprefix(TOMBSTONE))


def is_file_name(name: str) -> bool:
    """Tell whether a copy may have that name: one of `file_name`, or with a number if that was taken."""
    return _FILE.fullmatch(name) is not None


def file_name(sequence: int, at: datetime | None) -> str:
    """Name a clip where people see it: dated where the date is certain, and sorted by date then.

    Only characters that FAT takes (no colon), no spaces for shells, no letter case to clash.
    """
    name = directory_name(sequence)
    return f"{at:%Y-%m-%d_%H-%M-%S}_{name}.mp4" if at else f"{name}.mp4"
