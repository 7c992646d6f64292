"""Where things are on a device."""

from dataclasses import dataclass
from pathlib import Path

SETTINGS = (Path("/boot/firmware/missed-moment.toml"), Path("/etc/missed-moment.toml"))
"""Where the settings are: where any computer can edit them, on a board that has such a place."""
STORE = Path("/data/clips")
"""The directory that holds the kept moments."""
SOCKET = Path("/run/missed-moment/control.sock")
"""Where the recorder listens."""

IGNORED_DISKS = Path("/etc/missed-moment/ignored-disks")
"""USB disks that are no sticks: one a line, named as in fstab(5)."""


@dataclass(frozen=True)
class Places:
    """Where the recorder finds and puts things."""

    settings: Path
    store: Path
    socket: Path


def settings_file() -> Path:
    """Return the first of `SETTINGS` whose directory is there."""
    return next((path for path in SETTINGS if path.parent.is_dir()), SETTINGS[-1])


def mount_point(path: Path, fstab: str) -> Path | None:
    """Return where the file system with `path` belongs, by fstab(5); None if that is the root file system's."""
    entries = (line.split() for line in fstab.splitlines() if not line.lstrip().startswith("#"))
    places = (entry[1] for entry in entries if len(entry) > 1)
    above = [Path(place) for place in places if place != "/" and path.is_relative_to(place)]
    return max(above, key=lambda place: len(place.parts), default=None)
