"""File systems of sticks: checked first, then mounted so that nothing on them can act. Linux only."""

import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from missed_moment.errors import StickError, reason
from missed_moment.export import mounts, salvaged
from missed_moment.export.admission import Volume
from missed_moment.export.pulled import Pulled, seconds_left

log = logging.getLogger(__name__)

CHECK_LIMIT_S = 300
"""A check that takes longer has met something that no person would wait for."""
_OUTPUT_BYTES = 16 * 1024
"""The last bytes of a check's output that are logged; a hostile stick can make a check print without end."""


@dataclass(frozen=True)
class _Kind:
    """How a kind of file system is repaired and checked (a node follows), and by what and how the kernel mounts it.

    `reasons` are what exit codes of the check mean, where that is not damage. `salvages` means that a repair makes
    files of what it finds; `looks_first`, that it may also truncate or delete files, and the check lists them.
    """

    repair: tuple[str, ...]
    check: tuple[str, ...]
    driver: str
    options: str
    reasons: Mapping[int, str] = field(default_factory=dict)
    salvages: bool = False
    looks_first: bool = False


_PROBE = ("ntfs-3g.probe", "--readwrite")
_ASLEEP = "a Windows that sleeps still has {volume} in use: shut it down (shutdown /s /t 0), or eject the stick there"
_IN_USE = {14: _ASLEEP, 15: _ASLEEP}
"""Exit codes of ntfs-3g.probe(8): hibernated, and a journal that is not clean."""

_FOREIGN = re.compile(rb"(?:ERROR: )?/(?!missed-moment(?:/|:|  and$|$))", re.IGNORECASE)
"""A path outside our directory, where fsck.vfat and fsck.exfat print what they found damaged."""
_OWNERS = (
    "files on {volume} are damaged, and a repair here could cut or delete them: repair the stick on a computer, "
    "or use another stick"
)

# For file systems that know no owners: all is the mounting process', and nobody else's.
_MINE = "uid={uid},gid={gid},umask=0077"

_KINDS: Mapping[str, _Kind] = {
    # Options are the kernel drivers' own.
    "vfat": _Kind(
        ("fsck.vfat", "-a", "-w"),
        ("fsck.vfat", "-n"),
        "vfat",
        f"{_MINE},utf8=1,errors=remount-ro",
        salvages=True,
        looks_first=True,
    ),
    "exfat": _Kind(
        ("fsck.exfat", "-p"),
        ("fsck.exfat", "-n"),
        "exfat",
        f"{_MINE},iocharset=utf8,errors=remount-ro",
        looks_first=True,
    ),
    # Nothing here repairs NTFS, and a Windows that only sleeps would not forgive it: what is not clean, the kernel's
    # driver does not mount. It runs no helper, and in this sandbox, as the FUSE driver would not.
    "ntfs": _Kind(_PROBE, _PROBE, "ntfs3", f"{_MINE},iocharset=utf8,windows_names", _IN_USE),
    "ext4": _Kind(("e2fsck", "-p"), ("e2fsck", "-f", "-n"), "ext4", "errors=remount-ro"),
}

SUPPORTED = tuple(_KINDS)
"""The kinds there are."""


def check(volume: Volume, pulled: Pulled, limit_s: float = CHECK_LIMIT_S) -> frozenset[str]:
    """Repair what can be repaired, in `limit_s` at most, and return the files of before that look salvaged.

    Sticks are pulled while they are written to all the time. Raises StickError if the file system is not sound
    afterwards: then nothing may be written to it. Raises StickPulledError as soon as the stick is pulled.

    A repair may truncate, rename or delete damaged files. If the check lists one outside our directory, StickError is
    raised before anything is written: the owner decides about the owner's files.

    A repair of vfat makes files of clusters that belong to none (`salvaged.names`). Those that the stick had before
    are somebody else's: the caller needs their names to leave them alone.
    """
    kind = _KINDS[volume.filesystem]
    before: frozenset[str] | None = None
    if kind.looks_first:
        code, output = _run((*kind.check, volume.node), pulled, limit_s)
        if code != 0 and _costs_owner(output, volume):
            raise StickError(_OWNERS.format(volume=volume))
        if kind.salvages:
            if code == 0:
                return salvaged.ALL
            before = _salvaged_before(volume)
    if _run((*kind.repair, volume.node), pulled, limit_s)[0] != 0:
        # What these programs exit with after a repair, some also exit with when they give up.
        if (code := _run((*kind.check, volume.node), pulled, limit_s)[0]) != 0:
            damaged = (
                "the file system of {volume} is damaged beyond repair: copy off what you can, then format the stick"
            )
            raise StickError(kind.reasons.get(code, damaged).format(volume=volume))
        log.info("%s was repaired", volume)
    return salvaged.ALL if before is None else before


@contextmanager
def mounted(volume: Volume, read_only: bool = False) -> Iterator[Path]:
    """Mount `volume` for the length of a block and give where; unmounted, all of it is on the stick.

    No program on it can be run, no device node or link followed. Raises StickError where that cannot be done.
    Needs CAP_SYS_ADMIN, and mounts where only this process and its children see it when they have a mount
    namespace of their own.

    The mount point is an empty directory of its own. Only rmdir removes it, which fails while anything is mounted
    there: whatever goes wrong here, nothing on the stick is deleted.
    """
    kind = _KINDS[volume.filesystem]
    place = Path(tempfile.mkdtemp(prefix="stick-"))
    try:
        try:
            options = kind.options.format(uid=os.getuid(), gid=os.getgid())
            mounts.mount(volume.node, place, kind.driver, options, read_only)
        except OSError as error:
            raise StickError(f"{volume} cannot be mounted ({error.strerror}): use another stick") from error
        try:
            yield place
        except BaseException:
            mounts.detach(place)
            raise
        try:
            mounts.unmount(place)
        except OSError as error:
            mounts.detach(place)
            raise StickError(
                f"{volume} cannot be unmounted ({error.strerror}): what is on it is not certain"
            ) from error
    finally:
        with suppress(OSError):  # still mounted: then it stays
            place.rmdir()


def _salvaged_before(volume: Volume) -> frozenset[str]:
    """Return the names of files that an earlier check salvaged; if they cannot be known, `salvaged.ALL`."""
    try:
        with mounted(volume, read_only=True) as place:
            return salvaged.names(place)
    except (StickError, OSError) as error:
        log.info("%s cannot be looked at before it is repaired (%s): what was salvaged stays", volume, error)
        return salvaged.ALL


def _costs_owner(output: bytes, volume: Volume) -> bool:
    """Tell whether a repair could change files that are not ours, after what a check printed.

    Both checkers print the path of a damaged file at the beginning of a line. If the output was too long, its beginning
    is missing: then the answer is yes.
    """
    if len(output) >= _OUTPUT_BYTES:
        return True
    summary = bytes(volume.node) + b": "
    return any(_FOREIGN.match(line) for line in output.splitlines() if not line.startswith(summary))


def _run(command: tuple[str | Path, ...], pulled: Pulled, limit_s: float) -> tuple[int, bytes]:
    """Run a check to its end, without capabilities, and return its exit code and the end of what it printed."""
    pulled.check()
    mounts.keep_capabilities_from_programs()  # it reads what a stranger wrote
    try:
        process = subprocess.Popen(  # noqa: S603 - a program of the table above, and a node that udev named
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise StickError(f"{command[0]} cannot be run ({reason(error)}): install the package that brings it") from error
    with process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        descriptor, deadline, output = process.stdout.fileno(), time.monotonic() + limit_s, b""
        try:
            while pulled.wait_for_any([descriptor], seconds_left(deadline)):
                if not (part := os.read(descriptor, _OUTPUT_BYTES)):
                    break
                output = (output + part)[-_OUTPUT_BYTES:]
            code = process.wait(seconds_left(deadline))
        except subprocess.TimeoutExpired as error:
            raise StickError(f"{command[0]} did not get through in {limit_s:.0f} s: use another stick") from error
        finally:
            process.kill()  # nothing if it has ended
    log.info("%s: exit code %d\n%s", command[0], code, output.decode(errors="replace").strip())
    return code, output
