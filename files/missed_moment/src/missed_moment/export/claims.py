"""Disks that this system or its owner has a claim on: in fstab, crypttab, a mount unit, or the list of ignored disks.

Such a disk may not be mounted yet when it is plugged in (`nofail`, `noauto`, an automounter): it is no stick all the
same, and must be neither written to nor switched off.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FSTAB, CRYPTTAB, UNITS = Path("/etc/fstab"), Path("/etc/crypttab"), Path("/etc/systemd/system")

_ESCAPE = re.compile(r"\\([0-7]{3}|x[0-9a-fA-F]{2})")
_PROPERTIES = {
    "UUID": ("ID_FS_UUID", "ID_FS_UUID_ENC", "ID_FS_UUID_SUB"),
    "LABEL": ("ID_FS_LABEL", "ID_FS_LABEL_ENC"),
    "PARTUUID": ("ID_PART_ENTRY_UUID",),
    "PARTLABEL": ("ID_PART_ENTRY_NAME",),
    "PTUUID": ("ID_PART_TABLE_UUID",),
}
"""Tags of fstab(5), and the udev properties that hold the same. Encoded ones have their blanks as \\x20."""


@dataclass(frozen=True)
class Claims:
    """What fstab(5), crypttab(5) and the list of ignored disks name, each as a tag and a value, or as a path."""

    specs: frozenset[str] = frozenset()

    def hold(self, properties: Mapping[str, str], nodes: Iterable[str]) -> bool:
        """Tell whether a partition or disk is named; `nodes` are its device node and all links to that."""
        names = set(nodes)
        return any(spec in names if spec.startswith("/") else _has(properties, spec) for spec in self.specs)


def read(fstab: Path = FSTAB, crypttab: Path = CRYPTTAB, ignored: Path | None = None, units: Path = UNITS) -> Claims:
    """Read the files; one that is missing names nothing. Raises OSError if one cannot be read."""
    mounts = [_what(path) for kind in ("mount", "swap") for path in units.glob(f"*.{kind}")]
    specs = {*_column(fstab, 0), *_column(crypttab, 1), *(_column(ignored, 0) if ignored else ()), *mounts}
    specs = {f"/dev/disk/by-id/{spec[3:]}" if spec.startswith("ID=") else spec for spec in specs}
    return Claims(frozenset(spec for spec in specs if spec.startswith("/dev/") or "=" in spec))


def _has(properties: Mapping[str, str], spec: str) -> bool:
    tag, _, value = spec.partition("=")
    values = (_unescape(properties.get(name, "")) for name in _PROPERTIES.get(tag.upper(), ()))
    return bool(value) and value.casefold() in (known.casefold() for known in values)


def _column(path: Path, number: int) -> list[str]:
    try:
        text = path.read_text(errors="surrogateescape")
    except FileNotFoundError:
        return []
    rows = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [_unescape(_unquote(row[number])) for row in rows if len(row) > number]


def _what(unit: Path) -> str:
    """Return what a mount or swap unit of systemd mounts; empty if it does not tell."""
    try:
        lines = unit.read_text(errors="surrogateescape").splitlines()
    except FileNotFoundError:  # a link to nothing
        return ""
    return next((_unescape(_unquote(line[5:].strip())) for line in lines if line.startswith("What=")), "")


def _unquote(spec: str) -> str:
    """Drop the quotation marks that libmount lets stand around the value of a tag."""
    tag, equals, value = spec.partition("=")
    return tag + equals + value.strip("\"'") if equals else spec.strip("\"'")


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1].lstrip("x"), 16 if match[1].startswith("x") else 8)), text)
