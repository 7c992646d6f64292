"""Trying it without hardware: the real recorder with a synthetic camera; the terminal is LED and button."""

import itertools
import logging
import os
import select
import sys
import termios
import threading
import tty
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from missed_moment.board import Board
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.capture.synthetic_microphone import SyntheticMicrophone
from missed_moment.checkup import checkup
from missed_moment.config import Loaded, MomentSettings, Settings, VideoSettings
from missed_moment.durable import LocalDisk
from missed_moment.errors import MissedMomentError
from missed_moment.export.handover import FOLDER, HandOver
from missed_moment.panel.lamp import Signaller
from missed_moment.panel.language import RECORDING, Signal, Stick
from missed_moment.services.recorder import Recorder
from missed_moment.services.status import Status

BEFORE_S, AFTER_S = 10, 3
"""What one press keeps when the demo runs by itself."""

CLIPS, STICK = "clips", "stick"
"""What is made in the demo's directory: the store, and a folder that stands for a stick."""

_PATIENCE_S = 60.0
_KEYS = "space: press    f: forget    u: plug or pull the stick    q: quit"


class _Led:
    """A lamp that remembers how bright it is."""

    def __init__(self) -> None:
        self.level = 0.0

    def shine(self, level: float) -> None:
        self.level = level


def by_itself(directory: Path) -> None:
    """Make one moment, export it, check the copies. Raises MissedMomentError where any of it fails."""
    moment = MomentSettings(before_s=BEFORE_S, after_s=AFTER_S)
    full = threading.Event()
    with _recording(directory, moment, lambda signal: full.set() if signal == RECORDING else None) as recorder:
        click.echo(f"filming a synthetic clock into RAM for {BEFORE_S} s ...")
        if not full.wait(_PATIENCE_S):
            raise MissedMomentError(f"the ring did not fill: {recorder.status()}")
        recorder.press()
        click.echo(f"pressed: keeping these {BEFORE_S} s, and the next {AFTER_S} s ...")
        if not recorder.wait_saved(_PATIENCE_S):
            raise MissedMomentError(f"the moment was not saved: {recorder.status()}")
        faults = recorder.health.faults()
        report = HandOver(recorder.catalogue, _plug(directory)).run()
    click.echo(
        f"exported to {directory / STICK / FOLDER}: {len(report.copied)} copied, {report.already_there} there already"
    )
    findings = list(checkup([directory / STICK / FOLDER], Path(), Path()))
    for finding in findings:
        click.echo(str(finding))
    if faults or report.failed or not all(finding.good for finding in findings):
        raise MissedMomentError(f"the demo went wrong: {faults} {report.failed}; see above")


def by_hand(directory: Path) -> None:
    """Run until `q`: the live line shows what a person at the device would see, and a little more."""
    led = _Led()
    signaller = Signaller([led])
    events: deque[str] = deque(["press space whenever something lovely happens"], maxlen=6)
    with _recording(directory, MomentSettings(), signaller.show) as recorder:
        stick = _Stick(directory, recorder, events)
        with _keys() as pressed, Live(console=Console(), refresh_per_second=10, transient=False) as live:
            for key in pressed:
                match key:
                    case "q":
                        break
                    case " ":
                        events.append(_attempt(recorder.press, "pressed: the last minute is kept"))
                    case "f":
                        events.append(_attempt(recorder.forget, "the last minute is forgotten"))
                    case "u":
                        stick.plug_or_pull()
                live.update(_picture(led.level, recorder.status(), events))
    signaller.stop()


class _Stick:
    """A folder that stands for a stick: `u` plugs it in, and pulls it again when its copies are done."""

    def __init__(self, directory: Path, recorder: Recorder, events: deque[str]) -> None:
        self._directory = directory
        self._recorder = recorder
        self._events = events
        self._plugged = False

    def plug_or_pull(self) -> None:
        if self._plugged:
            self._plugged = False
            self._recorder.stick(STICK, Stick.NONE)
            self._events.append("stick pulled")
            return
        self._plugged = True
        self._recorder.stick(STICK, Stick.COPYING)
        self._events.append("stick plugged in")
        threading.Thread(target=self._copy, name="stick", daemon=True).start()

    def _copy(self) -> None:
        try:
            report = HandOver(self._recorder.catalogue, _plug(self._directory)).run()
        except MissedMomentError as error:
            self._recorder.stick(STICK, Stick.FAILED, str(error))
            self._events.append(str(error))
            return
        self._recorder.stick(STICK, Stick.FAILED if report.failed else Stick.DONE, report.trouble)
        self._events.append(
            f"{len(report.copied)} copied and verified, {report.already_there} there already: safe to pull"
        )


@contextmanager
def _recording(directory: Path, moment: MomentSettings, show: Callable[[Signal], None]) -> Iterator[Recorder]:
    """Run a recorder with the synthetic camera for the length of a block; what was pressed for is finished."""
    logging.getLogger().setLevel(logging.WARNING)
    settings = Settings(moment=moment, video=VideoSettings(bitrate_mbps=2.0))
    camera = SyntheticCamera(settings.video)
    recorder = Recorder(Loaded(settings), camera, SyntheticMicrophone(), directory / CLIPS, LocalDisk(), Board(), show)
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.stop()


def _plug(directory: Path) -> Path:
    stick = directory / STICK
    stick.mkdir(parents=True, exist_ok=True)
    return stick


def _attempt(action: Callable[[], object], done: str) -> str:
    try:
        action()
    except MissedMomentError as error:
        return str(error)
    return done


@contextmanager
def _keys() -> Iterator[Iterator[str]]:
    """Give an endless iterator of keys, with an empty string ten times a second in between; no Enter is needed."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield (os.read(terminal, 1).decode("ascii", "ignore") if _ready(terminal) else "" for _ in itertools.count())
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _ready(terminal: int) -> bool:
    return bool(select.select([terminal], [], [], 0.1)[0])


def _picture(level: float, status: Status, events: Iterable[str]) -> Group:
    """Draw the live lines: LED, ring, clips, and what happened last."""
    full = min(1.0, status.ring.seconds / MomentSettings().before_s)
    bar = "█" * round(full * 20) + "░" * (20 - round(full * 20))
    line = Text.assemble(
        ("● " if level >= 0.5 else "○ ", f"rgb({round(80 + 175 * level)},40,40)"),
        (f"{status.led:<10}", "bold"),
        f"  ring {bar} {status.ring.seconds:5.1f} s {status.ring.bytes / 1e6:5.1f} MB",
        f"  clips {status.store.moments} ({status.store.not_exported} on no stick)",
    )
    faults = [Text(message, style="red") for message in status.faults.values()]
    return Group(line, *faults, *(Text(f"  {event}", style="dim") for event in events), Text(_KEYS))
