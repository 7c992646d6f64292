"""File systems of sticks: checked first, then mounted so that nothing on them can act. Linux only."""

import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from missed_moment.clips.mp4 import BRAND
from missed_moment.errors import StickError
from missed_moment.export import mounts
from missed_moment.export.admission import Volume

log = logging.getLogger(__name__)

CHECK_LIMIT_S = 300
"""A check that takes longer has met something that no person would wait for."""


@dataclass(frozen=True)
class _Kind:
    """How a kind of file system is repaired and checked (a node follows), and by what and how the kernel mounts it.

    `reasons` are what exit codes of the check mean, where that is not damage.
    """

    repair: tuple[str, ...]
    check: tuple[str, ...]
    driver: str
    options: str
    reasons: Mapping[int, str] = field(default_factory=dict)


_PROBE = ("ntfs-3g.probe", "--readwrite")
_ASLEEP = "a Windows that sleeps still has {volume} in use: shut it down (shutdown /s /t 0), or eject the stick there"
_IN_USE = {14: _ASLEEP, 15: _ASLEEP}
"""Exit codes of ntfs-3g.probe(8): hibernated, and a journal that is not clean."""

# For file systems that know no owners: all is the mounting process', and nobody else's.
_MINE = "uid={uid},gid={gid},umask=0077"

_KINDS: Mapping[str, _Kind] = {
    # Options are the kernel drivers' own.
    "vfat": _Kind(("fsck.vfat", "-a", "-w"), ("fsck.vfat", "-n"), "vfat", f"{_MINE},utf8=1,errors=remount-ro"),
    "exfat": _Kind(("fsck.exfat", "-p"), ("fsck.exfat", "-n"), "exfat", f"{_MINE},iocharset=utf8,errors=remount-ro"),
    # Nothing here repairs NTFS, and a Windows that only sleeps would not forgive it: what is not clean, the kernel's
    # driver does not mount. It runs no helper, and in this sandbox, as the FUSE driver would not.
    "ntfs": _Kind(_PROBE, _PROBE, "ntfs3", f"{_MINE},iocharset=utf8,windows_names", _IN_USE),
    "ext4": _Kind(("e2fsck", "-p"), ("e2fsck", "-f", "-n"), "ext4", "errors=remount-ro"),
}

_SECTOR = 512

SUPPORTED = tuple(_KINDS)
"""The kinds there are."""


def check(volume: Volume, limit_s: float = CHECK_LIMIT_S) -> None:
    """Repair what can be repaired, in `limit_s` at most.

    Sticks are pulled while they are written to all the time. Raises StickError where the file system is not sound
    afterwards: then nothing may be written to it.
    """
    kind = _KINDS[volume.filesystem]
    if _run((*kind.repair, volume.node), limit_s) == 0:
        return
    # What these programs exit with after a repair, some also exit with when they give up.
    if (code := _run((*kind.check, volume.node), limit_s)) != 0:
        damaged = "the file system of {volume} is damaged beyond repair: copy off what you can, then format the stick"
        raise StickError(kind.reasons.get(code, damaged).format(volume=volume))
    log.info("%s was repaired", volume)


@contextmanager
def mounted(volume: Volume) -> Iterator[Path]:
    """Mount `volume` for the length of a block and give where; unmounted, all of it is on the stick.

    No program on it can be run, no device node or link followed. Raises StickError where that cannot be done.
    Needs CAP_SYS_ADMIN, and mounts where only this process and its children see it when they have a mount
    namespace of their own.
    """
    kind = _KINDS[volume.filesystem]
    with tempfile.TemporaryDirectory(prefix="stick-") as place:
        try:
            options = kind.options.format(uid=os.getuid(), gid=os.getgid())
            mounts.mount(volume.node, Path(place), kind.driver, options)
        except OSError as error:
            raise StickError(f"{volume} cannot be mounted ({error.strerror}): use another stick") from error
        try:
            _drop_salvaged(Path(place))
            yield Path(place)
        except BaseException:
            mounts.detach(Path(place))
            raise
        try:
            mounts.unmount(Path(place))
        except OSError as error:
            mounts.detach(Path(place))
            raise StickError(
                f"{volume} cannot be unmounted ({error.strerror}): what is on it is not certain"
            ) from error


def _drop_salvaged(place: Path) -> None:
    """Remove what fsck.vfat made of a copy of ours that was cut short: it cannot be told to free such clusters.

    They begin as a clip does, or, where the stick was pulled before that was written, with nothing at all.
    """
    for path in place.glob("FSCK????.REC"):
        try:
            with path.open("rb") as file:
                head = file.read(_SECTOR)
            if head.startswith(BRAND) or not any(head):
                path.unlink()
        except OSError as error:
            log.info("%s stays on the stick (%s)", path.name, error.strerror)


def _run(command: tuple[str | Path, ...], limit_s: float) -> int:
    try:
        done = subprocess.run(  # noqa: S603 - a program of the table above, and a node that udev named
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired as error:
        raise StickError(f"{command[0]} did not get through in {limit_s:.0f} s: use another stick") from error
    except OSError as error:
        raise StickError(f"{command[0]} cannot be run ({error}): install the package that brings it") from error
    log.info("%s: exit code %d\n%s", command[0], done.returncode, done.stdout.decode(errors="replace").strip())
    return done.returncode
