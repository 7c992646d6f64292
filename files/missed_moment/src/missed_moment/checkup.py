"""What `missed-moment check` looks at, and what it finds."""

import statistics
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from missed_moment import config, memory, memory_budget, sync
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.inspect import inspect_clip
from missed_moment.durable import LocalDisk
from missed_moment.errors import ClipError
from missed_moment.export import sums
from missed_moment.export.directory import Directory
from missed_moment.export.handover import FOLDER

ENOUGH_CLAPS = 3
"""One may be something else that moved."""
IN_SYNC_MS = 20
"""Nobody notices less; a camera sees a clap no more exactly than that."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    good: bool
    text: str

    def __str__(self) -> str:
        text = self.text.encode(errors="replace").decode()  # a stranger may have named the file
        return f"{'ok  ' if self.good else 'BAD '} {text}"


def checkup(paths: Collection[Path], settings: Path, store: Path) -> Iterator[Finding]:
    """Look at `paths`, or, where there are none, at the settings and the whole store; yields each as it is found."""
    for path in paths:
        yield from _path(path)
    if not paths:
        yield from _settings(settings)
        yield from _store(store)


def sync_checkup(paths: Collection[Path], settings: Path, store: Path) -> Iterator[Finding]:
    """Measure how far sound and picture of clips are apart; of the newest in the store, where no `paths` are named."""
    clips = paths or [moment.clip for moment in Catalogue(store, LocalDisk()).moments()[-1:]]
    offset_ms = config.load(settings).settings.sound.offset_ms
    yield from (_sync(clip, offset_ms) for clip in clips)
    if not clips:
        yield Finding(False, f"{store}: no moments")


def _sync(path: Path, offset_ms: float) -> Finding:
    try:
        offsets = [offset_s * 1000 for offset_s in sync.measure(path)]
    except ClipError as error:
        return Finding(False, str(error))
    if len(offsets) < ENOUGH_CLAPS:
        return Finding(
            False,
            f"{path}: {len(offsets)} claps are both seen and heard, and {ENOUGH_CLAPS} are needed: clap near the "
            "camera, a second apart, in front of something that does not move",
        )
    late_ms = statistics.median(offsets)
    spread_ms = max(offsets) - min(offsets)
    return Finding(
        abs(late_ms) <= IN_SYNC_MS,
        f"{path}: heard {late_ms:+.0f} ms after it is seen ({len(offsets)} claps, {spread_ms:.0f} ms apart); "
        f"0 would be [sound] offset_ms = {offset_ms - late_ms:.0f}",
    )


def _path(path: Path) -> Iterator[Finding]:
    if path.is_dir():
        yield from _copies(path)
    else:
        yield _clip(path)


def _settings(path: Path) -> Iterator[Finding]:
    problems = memory_budget.fit(config.load(path), memory.total_bytes()).problems
    yield from (Finding(False, problem) for problem in problems)
    if not problems:
        yield Finding(True, f"{path}: " + ("all settings are good" if path.exists() else "not there, so all defaults"))


def _store(root: Path) -> Iterator[Finding]:
    moments = Catalogue(root, LocalDisk()).moments()
    yield from (_clip(moment.clip) for moment in moments)
    if not moments:
        yield Finding(True, f"{root}: no moments")


def _clip(path: Path) -> Finding:
    try:
        seen = inspect_clip(path)
    except ClipError as error:
        return Finding(False, str(error))
    sound = "no sound" if seen.sound_s is None else f"{seen.sound_s:.1f} s of sound"
    pictures = f"{seen.pictures} pictures, {seen.width}x{seen.height}"
    return Finding(True, f"{path}: {seen.duration_s:.1f} s, {pictures}, {sound}")


def _copies(path: Path) -> Iterator[Finding]:
    """Compare a directory with its sums; of a stick, that is the one directory that is ours."""
    if not (path / sums.NAME).exists() and (path / FOLDER).is_dir():
        path = path / FOLDER
    with Directory.existing(path) as directory:
        known = sums.parse(directory.read(sums.NAME, sums.MAX_BYTES)).known
        if not known:
            yield Finding(False, f"{path}: no {sums.NAME} that could be compared")
        for name, digest in sorted(known.items()):
            yield _copy(directory, name, digest)


def _copy(directory: Directory, name: str, digest: str) -> Finding:
    path = directory.path / name
    if directory.size(name) is None:
        return Finding(False, f"{path}: is in {sums.NAME}, but not there")
    try:
        if directory.digest(name) != digest:
            return Finding(False, f"{path}: is not what was written")
    except OSError as error:
        return Finding(False, f"{path}: cannot be read ({error.strerror})")
    return _clip(path)
