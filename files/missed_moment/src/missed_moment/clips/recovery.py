"""After a power cut: what was being written is finished and kept, or cleared away. Runs before recording begins."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from missed_moment import __version__
from missed_moment.clips import names, thumbnail
from missed_moment.clips.catalogue import Catalogue, Moment, MomentInfo
from missed_moment.clips.growing import facts
from missed_moment.clips.inspect import shows_anything
from missed_moment.clips.mp4 import Track
from missed_moment.clips.mp4_reader import reopen
from missed_moment.clips.room import Room, is_full
from missed_moment.durable import replace_file
from missed_moment.errors import ClipError, DamagedClipError, reason

log = logging.getLogger(__name__)


def recover(
    catalogue: Catalogue, device: str, report: Callable[[str], None] = log.error, room: Room | None = None
) -> list[Moment]:
    """Look at everything that was left over; return the moments that came of it.

    A clip with at least one whole fragment is finished in place, which needs no room but for its index, and is
    marked `recovered`. Anything less was never reported as kept, and goes. A leftover that was kept and cannot be
    finished is moved to `.damaged`; one that the disk does not allow us to finish now stays for the next start. Both
    are passed to `report`, and neither stops the others. On a full disk, `room` makes what finishing needs.
    """
    recovered = []
    for leftover in catalogue.leftovers():
        try:
            if moment := _recover(catalogue, leftover, device, report, room):
                log.warning("%s was being written when the power went: recovered", moment.path.name)
                recovered.append(moment)
        except OSError as error:
            report(f"{leftover} cannot be recovered now ({reason(error)}): the next start tries again")
        except Exception as error:  # whatever a damaged file leads to ends neither the others nor the recorder
            log.exception("%s led to an unexpected error", leftover)
            if names.sequence_of(leftover.name) is not None:  # what is being deleted stays where it is finished
                _set_aside(catalogue, leftover, str(error), report)
    return recovered


def _recover(
    catalogue: Catalogue, leftover: Path, device: str, report: Callable[[str], None], room: Room | None
) -> Moment | None:
    sequence = names.sequence_of(leftover.name)
    if sequence is None:  # a moment whose deletion was cut short
        if leftover.name.startswith(names.TOMBSTONE):
            catalogue.bury(leftover, wait=False)
        else:  # it was deleted to make room
            catalogue.finish_removing(leftover)
        return None
    making = room.making if room else _as_it_is
    path, has_info = leftover / names.CLIP, (leftover / names.INFO).exists()
    try:
        clip = reopen(catalogue.disk, path, finished_too=not has_info)
    except (ClipError, FileNotFoundError) as error:
        if has_info or isinstance(error, DamagedClipError):
            _set_aside(catalogue, leftover, str(error), report)
        else:
            log.info("%s was not kept yet when it was cut (%s): removed", leftover.name, error)
            catalogue.discard(leftover)
        return None
    if clip is not None:  # otherwise it was finished, and described before that
        try:
            info = _describe(leftover, sequence, device, clip.tracks[0])
            try:
                making(partial(catalogue.write_info, leftover, info))
            except OSError as error:
                if not has_info or not is_full(error):
                    raise
                log.warning("%s keeps the description it has (%s)", leftover.name, error)
            making(partial(clip.finish, info.created_s))
        finally:
            clip.close()
    if not shows_anything(path):  # its head is damaged
        _set_aside(catalogue, leftover, "no player can show any of it", report)
        return None
    _add_thumbnail(catalogue, leftover)
    return catalogue.publish(leftover)


def _as_it_is(step: Callable[[], None]) -> None:
    step()


def _set_aside(catalogue: Catalogue, leftover: Path, why: str, report: Callable[[str], None]) -> None:
    try:
        path = catalogue.set_aside(leftover)
    except OSError as error:
        report(f"{leftover} is damaged ({why}) and cannot be moved away ({reason(error)}): the next start tries again")
    else:
        report(
            f"{leftover.name} is damaged and cannot be finished ({why}): it is in {path}, and nothing deletes it there"
        )


def _describe(leftover: Path, sequence: int, device: str, track: Track) -> MomentInfo:
    """Complete what was written down when the moment was kept; without that, little is known."""
    known = facts(track)
    try:
        info = MomentInfo.model_validate_json((leftover / names.INFO).read_bytes())
        return info.model_copy(update={**known, "recovered": True})
    except (OSError, ValidationError):
        last_write = (leftover / names.CLIP).stat().st_mtime
        return MomentInfo(
            sequence=sequence,
            device=device,
            version=__version__,
            boot_id="",
            start_ns=0,
            presses_ns=(),
            start=datetime.fromtimestamp(max(0, last_write - known["duration_s"]), UTC),
            clock_certain=False,
            recovered=True,
            **known,
        )


def _add_thumbnail(catalogue: Catalogue, leftover: Path) -> None:
    path = leftover / names.THUMBNAIL
    if path.exists():
        return
    try:
        replace_file(catalogue.disk, path, thumbnail.from_clip(leftover / names.CLIP))
    except (ClipError, OSError) as error:  # no room for it, at worst
        log.warning("%s has no thumbnail: %s", leftover.name, error)
