"""The settings file on a boot partition that any computer can write to: whether it is there, and its bytes."""

import os
import re
from pathlib import Path

from missed_moment.errors import SettingsError
from missed_moment.places import mount_point

MAX_BYTES = 64 * 1024
"""The largest settings file that is read; with each key explained it has 4 kB."""


def read(path: Path) -> bytes:
    """Return what is in the file. Raises OSError, and SettingsError if it is too large to be settings."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SettingsError(f"it is larger than {MAX_BYTES // 1024} KiB")
    return data


def unmounted(path: Path, fstab: Path) -> Path | None:
    """Return where the file system with `path` belongs; None if it is mounted, or is the root file system."""
    try:
        where = mount_point(path.absolute(), fstab.read_text(errors="replace"))
    except OSError:
        return None
    return None if where is None or os.path.ismount(where) else where


def misnamed(path: Path) -> list[Path]:
    """Return settings files beside `path` to whose name an editor, a browser or a file manager has added something."""
    stem, added = re.escape(path.stem), r"( ?\(\d+\)| \d+| - .*)?"
    alike = re.compile(rf"{stem}(\.toml)?{added}\.(toml|txt|rtf)")
    try:
        others = [other for other in path.parent.iterdir() if alike.fullmatch(other.name.casefold())]
    except OSError:
        return []
    return sorted(other for other in others if other.name.casefold() != path.name)
