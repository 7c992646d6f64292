"""The command line: arguments in, one call, words and exit code out.

Each command imports what it needs itself: `press` must not wait, on a small board, until all that the recorder is
made of has been loaded.
"""

import json
import logging
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from missed_moment import __version__
from missed_moment.control import NoRecorderError, ask
from missed_moment.errors import MissedMomentError, reason
from missed_moment.places import IGNORED_DISKS, SETTINGS, SOCKET, STORE, Places, settings_file

if TYPE_CHECKING:
    from missed_moment.capture.choice import Kind
    from missed_moment.clips.catalogue import Catalogue
    from missed_moment.export.usb import UsbDevice

_DELETING_S = 600.0
"""A card may take so long to overwrite the longest moment."""
EXIT_FAILED, EXIT_USAGE, EXIT_NO_RECORDER = 1, 2, 3

_EPILOG = """Exit codes: 0 done, 1 it failed (the reason is on standard error), 2 wrong usage, 3 no recorder answers,
70 the recorder met a bug of its own, 75 its camera films nothing: both want to be started again."""

_store = click.option(
    "--store",
    type=click.Path(path_type=Path),
    default=STORE,
    show_default=True,
    help="Directory that holds the kept moments.",
)
_config = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=settings_file,
    show_default=" or ".join(map(str, SETTINGS)),
    help="Settings. A missing file means defaults; a bad line never switches sound or camera on.",
)
_socket = click.option(
    "--socket",
    type=click.Path(path_type=Path),
    default=SOCKET,
    show_default=True,
    help="Where the recorder listens.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="missed-moment")
def cli() -> None:
    """A camera that keeps the last minute in RAM, and on disk only what you ask for.

    The recorder films from the moment it runs and forgets everything after a minute. A press (the button, or
    `missed-moment press`) keeps that minute and the next few seconds. `missed-moment export` copies kept moments
    onto a stick or into any directory, and proves the copies.
    """
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), format="%(message)s", stream=sys.stderr)


@cli.command(epilog=_EPILOG)
@_config
@_store
@_socket
@click.option(
    "--camera",
    type=click.Choice(["auto", "picamera2", "webcam", "synthetic"]),
    default="auto",
    show_default=True,
    help="`auto` takes the board's camera where there is one, else a webcam; `synthetic` needs no hardware.",
)
def run(config: Path, store: Path, socket: Path, camera: "Kind") -> None:
    """Record, until SIGTERM or Ctrl-C. What was pressed for is finished first."""
    from missed_moment.services import program

    if not program.run(Places(config, store, socket), camera):
        raise MissedMomentError(f"the disk of {store} did not take everything in time; the next start finishes it")


@cli.command(epilog=_EPILOG)
@_socket
def press(socket: Path) -> None:
    """Keep the last minute, as the button does."""
    if ask(socket, "press")["ring_s"]:
        click.echo("kept, as soon as the disk has it: see `missed-moment status`")
    else:
        click.echo("there is nothing to keep but what may still come: see `missed-moment status`")


@cli.command(epilog=_EPILOG)
@_socket
def forget(socket: Path) -> None:
    """Forget the last minute, as holding the button does.

    A moment that is still growing or being saved goes, too. Finished moments stay: `missed-moment delete` deletes one.
    """
    if ask(socket, "forget")["gone"]:
        click.echo("the last minute is gone")
    else:
        click.echo(
            "the last minute is gone from memory, and is being deleted from the disk: see `missed-moment status`"
        )


@cli.command(epilog=_EPILOG)
@click.argument("number", type=click.IntRange(min=1))
@_store
@_socket
def delete(number: int, store: Path, socket: Path) -> None:
    """Delete the kept moment NUMBER for good: it is overwritten, and no power cut brings it back.

    `missed-moment clips` lists the numbers. Copies on sticks stay. A running recorder deletes from its own store; if
    none runs, this command deletes from --store.
    """
    try:
        ask(socket, "delete", _DELETING_S, sequence=number)
    except NoRecorderError:
        _catalogue(store).delete(number)
    click.echo(f"moment {number} is deleted")


@cli.command(epilog=_EPILOG)
@_socket
@_json
def status(socket: Path, as_json: bool) -> None:
    """Tell what the recorder does: ring, frames, moments, faults, versions."""
    from missed_moment.services.status import Status

    answer = Status.model_validate(ask(socket, "status"))
    if as_json:
        click.echo(answer.model_dump_json(indent=2))
        return
    from rich.console import Console

    from missed_moment.tables import status_table

    Console().print(status_table(answer))


@cli.command(epilog=_EPILOG)
@_store
@_json
def clips(store: Path, as_json: bool) -> None:
    """List the moments in the store, oldest first."""
    from rich.console import Console

    from missed_moment.tables import clip_row, clips_table

    rows = [clip_row(moment) for moment in _catalogue(store).moments()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        Console().print(clips_table(rows))


@cli.command("export", epilog=_EPILOG)
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_config
@_store
@_socket
def export_command(directory: Path, config: Path, store: Path, socket: Path) -> None:
    """Copy to DIRECTORY/missed-moment what it lacks, and verify each copy.

    A running recorder shows on its LED how far it is; none needs to run.
    """
    from missed_moment.config import load
    from missed_moment.export.handover import FOLDER
    from missed_moment.services.exporter import export

    report = export(_catalogue(store), directory, socket, load(config).settings.device)
    click.echo(
        f"{len(report.copied)} copied and verified ({report.size / 1e6:.1f} MB), "
        f"{report.already_there} were there already: {directory / FOLDER}"
    )
    if report.failed:
        raise MissedMomentError(f"not all went well: {report.trouble}")


@cli.command(epilog=_EPILOG)
@click.argument("device", type=click.Path(path_type=Path))
@_config
@_store
@_socket
def export_stick(device: Path, config: Path, store: Path, socket: Path) -> None:
    """Fill the USB stick DEVICE (its directory in /sys) and release it, until it is pulled.

    udev has systemd run this for each stick. It needs the right to mount, and a mount namespace of its own.
    """
    from missed_moment.config import load
    from missed_moment.export import claims
    from missed_moment.export.filesystem import SUPPORTED
    from missed_moment.panel.language import Stick
    from missed_moment.services.exporter import PULLED_EARLY, page, serve, tell_time
    from missed_moment.services.signals import pulled_by_signal
    from missed_moment.services.teller import Teller

    settings = load(config).settings
    accepted = [name for name in settings.stick.filesystems if name in SUPPORTED]
    # systemd names it by its number (/sys/dev/char/189:6), which is another one once it is plugged in again.
    teller = Teller(socket, device.resolve().name)

    def plugged() -> "UsbDevice":
        from missed_moment.export.usb import UsbDevice  # libudev is not everywhere: it is part of Linux

        return UsbDevice(device, lambda: claims.read(ignored=IGNORED_DISKS), pulled)

    def overdue() -> None:
        teller.tell(Stick.NONE, PULLED_EARLY)
        teller.close()

    with pulled_by_signal(overdue) as pulled, closing(teller):
        expected = serve(
            plugged,
            _catalogue(store),
            accepted,
            teller.tell,
            pulled,
            lambda: page(settings.device, socket),
            lambda place: tell_time(place, socket),
        )
    if not expected:
        sys.exit(os.EX_SOFTWARE)


@cli.command(epilog=_EPILOG)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True))
@_config
@_store
@click.option("--sync", is_flag=True, help="Measure how far sound and picture of clips (or the newest) are apart.")
def check(paths: tuple[Path, ...], config: Path, store: Path, sync: bool) -> None:
    """Check PATHS: clips are decoded from beginning to end, directories by their SHA256SUMS.

    Without PATHS: the settings, and every moment in the store. To set a microphone's `offset_ms`: clap five times in
    front of the camera, press, and `check --sync`.
    """
    from missed_moment.checkup import checkup, sync_checkup

    seen = bad = 0
    for finding in (sync_checkup if sync else checkup)(paths, config, store):
        click.echo(str(finding))
        seen, bad = seen + 1, bad + (not finding.good)
    if bad:
        raise MissedMomentError(f"{bad} of {seen} are bad")


@cli.command(epilog=_EPILOG)
@click.argument("name", metavar="TABLE.KEY")
@_config
def setting(name: str, config: Path) -> None:
    """Print the setting TABLE.KEY as it is in force. Exit code 1 where it is false, for units that depend on it."""
    from missed_moment.config import load, look_up

    value = look_up(load(config).settings, name)
    click.echo(json.dumps(value))
    if value is False:
        sys.exit(EXIT_FAILED)


@cli.command("demo", epilog=_EPILOG)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Where clips and the stick's folder land.",
)
def demo_command(directory: Path) -> None:
    """Try it without hardware: a synthetic camera, the terminal as LED and button.

    Without a terminal, one moment is made, exported and checked without anyone's help.
    """
    from missed_moment import demo

    if sys.stdin.isatty() and sys.stdout.isatty():
        demo.by_hand(directory)
    else:
        demo.by_itself(directory)


def _catalogue(store: Path) -> "Catalogue":
    from missed_moment.clips.catalogue import Catalogue
    from missed_moment.durable import LocalDisk

    return Catalogue(store, LocalDisk())


def main() -> None:
    """Run the command line; every error that is ours becomes one line and an exit code."""
    try:
        cli(standalone_mode=False)
    except NoRecorderError as error:
        _fail(str(error), EXIT_NO_RECORDER)
    except MissedMomentError as error:
        _fail(str(error), EXIT_FAILED)
    except OSError as error:
        _fail(reason(error), EXIT_FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.Abort:
        _fail("interrupted", EXIT_FAILED)


def _fail(message: str, code: int) -> None:
    click.echo(f"missed-moment: {message}", err=True)
    sys.exit(code)
