"""Files that fsck.vfat makes of clusters that belong to no file: FSCK0000.REC, FSCK0001.REC, ...

A copy of ours that was cut short by a pull becomes one of them: fsck.vfat cannot be told to free such clusters, and a
few of those fill a stick. But the owner's own lost files come back under such names as well.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from missed_moment.clips.catalogue import Catalogue
from missed_moment.errors import SourceError
from missed_moment.export.directory import Directory, read_chunks
from missed_moment.export.pulled import Pulled
from missed_moment.export.source import Source

log = logging.getLogger(__name__)

_NAME = re.compile(r"FSCK[0-9]{4}\.REC", re.IGNORECASE)
_CHUNK, _SECTOR = 64 * 1024, 512
_SLACK = 1024 * 1024
"""Bytes by which a salvaged copy may be longer than its clip: it ends with a whole cluster."""


class _All(frozenset[str]):
    """Holds every name."""

    def __contains__(self, _: object) -> bool:
        return True


ALL: frozenset[str] = _All()
"""Stands for "whatever looks salvaged was there before"."""


def names(place: Path) -> frozenset[str]:
    """Return the names at the top of a stick that look salvaged."""
    with os.scandir(place) as entries:
        return frozenset(entry.name for entry in entries if _NAME.fullmatch(entry.name))


def remove_ours(place: Path, before: frozenset[str], catalogue: Catalogue, pulled: Pulled) -> None:
    """Remove salvaged parts of copies of moments that the store still holds; `before` are names to leave alone.

    The proof is the content: each sector of the file, from its first to its last, is that of a kept clip at the same
    place, or was never written and holds zeros. Nothing is lost with it. Everything else stays.
    """
    if before is ALL:
        return
    try:
        new = sorted(name for name in names(place) if name not in before)
    except OSError as error:
        log.info("%s cannot be listed (%s)", place, error)
        return
    if not new:
        return
    with Directory.existing(place) as top:
        for name in new:
            pulled.check()
            try:
                if _is_ours(top, name, catalogue):
                    top.remove(name)
                    log.info("%s was a copy that had been cut short, and was removed", name)
            except (OSError, SourceError) as error:
                log.info("%s stays on the stick (%s)", name, error)


def _is_ours(top: Directory, name: str, catalogue: Catalogue) -> bool:
    size = top.size(name)
    if not size:
        return False
    for moment in catalogue.moments():
        if size > moment.size + _SLACK:
            continue
        with suppress(SourceError), Source(catalogue.root, moment) as source, top.open(name) as descriptor:
            if _is_part(read_chunks(descriptor, _CHUNK), source.chunks(_CHUNK)):
                return True
    return False


def _is_part(part: Iterable[bytes], whole: Iterator[bytes]) -> bool:
    """Tell whether each sector of `part` is that of `whole`, or zeros; both come in chunks of `_CHUNK` bytes."""
    for mine in part:
        chunk = next(whole, b"")
        if mine == chunk:
            continue
        for at in range(0, len(mine), _SECTOR):
            sector, original = mine[at : at + _SECTOR], chunk[at : at + _SECTOR]
            if any(sector) and sector != original.ljust(len(sector), b"\0")[: len(sector)]:
                return False
    return True
