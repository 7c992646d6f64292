"""Handing over, with the recorder told about it, so that its LED shows how far it is."""

import logging
from pathlib import Path

from missed_moment.clips.catalogue import Catalogue
from missed_moment.control import ask
from missed_moment.errors import ControlError, MissedMomentError
from missed_moment.export.handover import HandOver, Report
from missed_moment.panel.language import Stick

log = logging.getLogger(__name__)


def export(catalogue: Catalogue, target: Path, socket: Path) -> Report:
    """Copy what `target` lacks. Raises ExportError where it cannot be used; works without a recorder as well."""
    _tell(socket, Stick.COPYING)
    try:
        report = HandOver(catalogue, target).run()
    except MissedMomentError as error:
        _tell(socket, Stick.NONE, str(error))
        raise
    # A directory is not pulled: nothing has to be shown until it is gone.
    _tell(socket, Stick.NONE, "; ".join(report.failed))
    return report


def _tell(socket: Path, stick: Stick, trouble: str = "") -> None:
    try:
        ask(socket, "stick", stick=stick.value, trouble=trouble)
    except ControlError as error:
        log.debug("%s", error)
