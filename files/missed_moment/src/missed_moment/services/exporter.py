"""The exporter: copies what is missing to a directory, or to a stick from the moment it is plugged in.

udev has systemd start one for each stick; SIGTERM means that the stick was pulled.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from missed_moment import clock
from missed_moment.clips.catalogue import Catalogue
from missed_moment.config import DeviceSettings
from missed_moment.control import ask
from missed_moment.errors import (
    ControlError,
    ExportError,
    MissedMomentError,
    StickPulledError,
    SystemDiskError,
)
from missed_moment.export import filesystem, salvaged
from missed_moment.export.admission import Interface, Volume, admit
from missed_moment.export.handover import HandOver
from missed_moment.export.newest import newest
from missed_moment.export.page import Page
from missed_moment.export.pulled import Pulled
from missed_moment.export.report import Progress, Report
from missed_moment.panel.language import Stick
from missed_moment.services.health_text import health_text
from missed_moment.services.status import Status
from missed_moment.services.teller import Teller

log = logging.getLogger(__name__)

NOTICED_S = 5.0
"""Nobody sees so soon what the LED says of a stick that failed: one that is gone by then was pulled before."""
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

    def interfaces(self) -> Collection[Interface]:
        """What it is, as the kernel sees it."""

    def volume(self, accepted: Collection[str]) -> Volume:
        """Wait for what is on it, and choose."""

    def switch_off(self) -> None:
        """Let go of it for good."""

    @property
    def gone(self) -> bool:
        """Whether the kernel has lost it. systemd's SIGTERM, which says so too, may come many seconds later."""


class Access(Protocol):
    """How to get at the files of a volume: see `KernelAccess`."""

    def first(self, volume: Volume, pulled: Pulled) -> AbstractContextManager[Path]:
        """Make its file system usable for the length of a block."""

    def again(self, volume: Volume) -> AbstractContextManager[Path]:
        """Make it usable once more, read from the stick anew."""


@dataclass(frozen=True)
class KernelAccess:
    """Checks and mounts volumes, and clears away what a check makes of clips of `catalogue` that were cut short."""

    catalogue: Catalogue

    @contextmanager
    def first(self, volume: Volume, pulled: Pulled) -> Iterator[Path]:
        """Check the file system of `volume`, then mount it. Raises StickError."""
        before = filesystem.check(volume, pulled)
        pulled.check()
        with filesystem.mounted(volume) as place:
            salvaged.remove_ours(place, before, self.catalogue, pulled)
            yield place

    def again(self, volume: Volume) -> AbstractContextManager[Path]:
        """Mount it once more. Raises StickError."""
        return filesystem.mounted(volume)


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


def serve(
    plugged: Callable[[], Usb],
    catalogue: Catalogue,
    accepted: Collection[str],
    tell: Tell,
    pulled: Pulled,
    describe: Callable[[], Page] = Page,
    hear: Callable[[Path], None] = lambda _: None,
    access: Access | None = None,
) -> bool:
    """Fill a stick, switch it off, and return when it was pulled; False after an error that nobody expected.

    `plugged` gives the USB device. `hear` is shown where the stick is mounted, and `describe` asked for what lies
    beside the clips.
    Whatever is wrong with a stick is told, and logged, and nothing that the caller could mend. However it goes, DONE
    or FAILED is told before the stick is waited for, unless it is a disk of this system.
    """
    unfinished, expected, copying = "", True, False  # `unfinished` is what to tell of it when it is gone
    usb: Usb | None = None
    try:
        try:
            pulled.check()
            usb = plugged()
            admit(usb.interfaces())
            volume = usb.volume(accepted)
            unfinished, copying = PULLED_EARLY, True
            tell(Stick.COPYING)
            log.info("copying to %s", volume)
            report = _fill(volume, catalogue, tell, pulled, describe, hear, access or KernelAccess(catalogue))
            if not report.trouble:  # otherwise its errors may be those of a stick that was pulled
                unfinished = ""
            pulled.check()
            usb.switch_off()
            pulled.check()
        except SystemDiskError as error:
            log.warning("%s", error)
            if copying:  # something else took it meanwhile: it is not waited for, and may not be pulled as it is
                tell(Stick.NONE, str(error))
            return True
        except ExportError as error:
            trouble, left_over = str(error), ""
        except StickPulledError:
            raise
        except Exception as error:  # a bug: the LED must not stay silent, nor the stick be waited for in vain
            log.exception("the export failed by an error that nobody expected")
            trouble = left_over = (
                f"the export failed by an error of its own ({type(error).__name__}): report it, with the journal"
            )
            expected = False
        else:
            trouble = left_over = report.trouble
            log.info("%d copied, %d there already", len(report.copied), report.already_there)
        if trouble:
            log.error("%s", trouble)
            tell(Stick.FAILED, trouble)
            if pulled.wait(NOTICED_S) or (usb is not None and usb.gone):
                raise StickPulledError(trouble)
        unfinished = left_over
        if not trouble:
            tell(Stick.DONE)
        pulled.wait()
    except StickPulledError:
        log.info("the stick was pulled")
    tell(Stick.NONE, unfinished)
    return expected


def _fill(
    volume: Volume,
    catalogue: Catalogue,
    tell: Tell,
    pulled: Pulled,
    describe: Callable[[], Page],
    hear: Callable[[Path], None],
    access: Access,
) -> Report:
    """Copy to a volume what it lacks; confirm the copies when it was unmounted, which is as its owner gets it.

    A moment that was finished meanwhile is copied and confirmed as well.
    """
    with access.first(volume, pulled) as place:
        hear(place)
        job = HandOver(catalogue, place, describe(), _progress(tell), pulled)
        job.copy()
    pulled.check()
    while job.unconfirmed:
        with access.again(volume) as place:
            job.confirm(place)
        pulled.check()
    return job.report
