"""After a power cut: what was being written is finished and kept, or cleared away. Runs before recording begins."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from missed_moment import __version__
from missed_moment.clips import names, thumbnail
from missed_moment.clips.catalogue import Catalogue, Moment, MomentInfo
from missed_moment.clips.growing import facts
from missed_moment.clips.mp4 import Track
from missed_moment.clips.mp4_reader import reopen
from missed_moment.durable import replace_file
from missed_moment.errors import ClipError

log = logging.getLogger(__name__)


def recover(catalogue: Catalogue, device: str) -> list[Moment]:
    """Look at everything that was left over; return the moments that came of it.

    A clip with at least one whole fragment is finished in place, which needs no room but for its index, and is
    marked `recovered`. Anything less was never reported as kept, and goes. A leftover that the disk does not let
    us finish stays where it is, for the next start.
    """
    recovered = []
    for leftover in catalogue.leftovers():
        try:
            if moment := _recover(catalogue, leftover, device):
                log.warning("%s was being written when the power went: recovered", moment.path.name)
                recovered.append(moment)
        except OSError as error:
            log.error("%s cannot be recovered now (%s); the next start tries again", leftover, error)
    return recovered


def _recover(catalogue: Catalogue, leftover: Path, device: str) -> Moment | None:
    sequence = names.sequence_of(leftover.name)
    if sequence is None:  # a moment whose deletion was cut short
        catalogue.bury(leftover)
        if leftover.exists():  # it was deleted to make room
            catalogue.discard(leftover)
        return None
    path = leftover / names.CLIP
    try:
        clip = reopen(catalogue.disk, path)
    except (ClipError, FileNotFoundError) as error:
        log.info("%s was not kept yet when it was cut (%s): removed", leftover.name, error)
        catalogue.discard(leftover)
        return None
    if clip is not None:  # otherwise it was finished, and described before that
        try:
            info = _describe(leftover, sequence, device, clip.tracks[0])
            catalogue.write_info(leftover, info)
            clip.finish(info.created_s)
        finally:
            clip.close()
    _add_thumbnail(catalogue, leftover)
    return catalogue.publish(leftover)


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
    except ClipError as error:
        log.warning("%s has no thumbnail: %s", leftover.name, error)
