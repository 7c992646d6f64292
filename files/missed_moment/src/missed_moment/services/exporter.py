"""The exporter: copies what is missing to a directory, or to a stick from the moment it is plugged in.

udev has systemd start one for each stick; it is told to end (SIGTERM) when the stick is pulled.
"""

import logging
import signal
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from missed_moment import clock
from missed_moment.clips.catalogue import Catalogue
from missed_moment.config import DeviceSettings
from missed_moment.control import ask
from missed_moment.errors import ControlError, ExportError, MissedMomentError, SystemDiskError
from missed_moment.export import filesystem
from missed_moment.export.admission import Volume, admit
from missed_moment.export.handover import HandOver, Progress, Report
from missed_moment.export.newest import newest
from missed_moment.export.page import Page
from missed_moment.panel.language import Stick
from missed_moment.services.health_text import health_text
from missed_moment.services.status import Status
from missed_moment.services.teller import Teller

log = logging.getLogger(__name__)

NOTICED_S = 5.0
"""Nobody sees so soon what the LED says of a stick that failed: who has pulled it by then had pulled it before."""
_PULLED = {signal.SIGTERM, signal.SIGINT}
PULLED_EARLY = "the stick was pulled before all was copied: plug it in again, it goes on where it stopped"


class Tell(Protocol):
    """Tells of a stick: how far it is, what went wrong, and which share of the copy is made."""

    def __call__(self, stick: Stick, trouble: str = "", copied: float = 0.0) -> None:
        """Tell it; returns at once."""


class Usb(Protocol):
    """A USB device: see `export.usb.UsbDevice`."""

    @property
    def name(self) -> str:
        """What tells two sticks apart."""

    @property
    def interfaces(self) -> str:
        """What it is, as udev writes it."""

    def volume(self, accepted: Collection[str]) -> Volume:
        """Wait for what is on it, and choose."""

    def switch_off(self) -> None:
        """Let go of it for good."""


Prepare = Callable[[Volume], AbstractContextManager[Path]]
"""Makes a volume's file system usable for the length of a block."""


def page(device: DeviceSettings, socket: Path) -> Page:
    """Say what is to lie beside the clips, after what the recorder tells of itself now."""
    try:
        status = Status.model_validate(ask(socket, "status"))
    except (ControlError, ValidationError) as error:
        log.info("health.txt says nothing of the recorder (%s)", error)
        status = None
    zone = clock.zone(device.timezone) or UTC
    return Page(device.name, zone, health_text(device.name, status, clock.wall_time()))


def tell_time(place: Path, socket: Path) -> None:
    """Tell the recorder what time it may be, after the files at `place`."""
    try:
        if at := newest(place):
            ask(socket, "time", newest=at.timestamp())
    except (OSError, ValueError, OverflowError) as error:
        log.info("the stick tells no time (%s)", error)


def export(catalogue: Catalogue, target: Path, socket: Path, device: DeviceSettings) -> Report:
    """Copy to a directory what it lacks. Raises ExportError where it cannot be used."""
    with closing(Teller(socket, str(target))) as teller:
        teller.tell(Stick.COPYING)
        try:
            report = HandOver(catalogue, target, page(device, socket), _progress(teller.tell)).run()
        except MissedMomentError as error:
            teller.tell(Stick.NONE, str(error))
            raise
        # A directory is not pulled: nothing has to be shown until it is gone.
        teller.tell(Stick.NONE, report.trouble)
    return report


def _progress(tell: Tell) -> Callable[[Progress], None]:
    return lambda progress: tell(Stick.COPYING, "", progress.done / max(1, progress.total))


@contextmanager
def checked_and_mounted(volume: Volume) -> Iterator[Path]:
    """Check the file system of `volume`, then mount it. Raises StickError."""
    filesystem.check(volume)
    with filesystem.mounted(volume) as place:
        yield place


def serve(
    usb: Usb,
    catalogue: Catalogue,
    accepted: Collection[str],
    tell: Tell,
    describe: Callable[[], Page] = Page,
    hear: Callable[[Path], None] = lambda _: None,
    prepare: Prepare = checked_and_mounted,
) -> None:
    """Fill a stick, switch it off, and return when it was pulled.

    `hear` is shown where the stick is mounted, and `describe` asked for what lies beside the clips.
    Whatever is wrong with a stick is told, and logged, and nothing that the caller could mend. SIGTERM and SIGINT
    mean that it was pulled, at any point of this.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    unfinished = ""  # what is to be said of it when it is gone
    try:
        try:
            admit(usb.interfaces)
            volume = usb.volume(accepted)
            unfinished = PULLED_EARLY
            tell(Stick.COPYING)
            log.info("copying to %s", volume)
            with prepare(volume) as place:
                hear(place)
                report = HandOver(catalogue, place, describe(), _progress(tell)).run()
            usb.switch_off()
        except SystemDiskError as error:
            log.warning("%s", error)
            return
        except ExportError as error:
            trouble, left_over = str(error), ""
        else:
            trouble = left_over = report.trouble
            log.info("%d copied, %d there already", len(report.copied), report.already_there)
        if trouble:
            log.error("%s", trouble)
            tell(Stick.FAILED, trouble)
            _until_pulled(NOTICED_S)
        unfinished = left_over
        if not trouble:
            tell(Stick.DONE)
        _until_pulled()
    except KeyboardInterrupt:
        log.info("the stick was pulled")
    tell(Stick.NONE, unfinished)


def _until_pulled(limit_s: float | None = None) -> None:
    """Return after `limit_s`, if that is given; raises KeyboardInterrupt as soon as the stick is pulled.

    Blocked while it is waited for, the signal cannot slip in between looking and waiting.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PULLED)
    try:
        if limit_s is None:
            signal.sigwait(_PULLED)
        elif signal.sigtimedwait(_PULLED, limit_s) is None:
            return
        raise KeyboardInterrupt
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
