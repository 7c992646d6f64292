"""The image is flashed, put into a board, and switched on; nobody has changed it.

What the board is, QEMU decides: an arm64 machine without pins. Everything else is what ships.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from machines import flashed_card
from machines.flashed_card import SIZE_MB, FlashedCard
from machines.guest import CommandFailed
from machines.provisioning import APPLIANCE_EXPECTS, doctor
from machines.qemu import ARM64, PI3, Board
from machines.sticks import MB, Stick
from stories.filling import FOLDER, read
from stories.starting import films_before_all_is_there

IMAGE = Path(os.environ.get("MISSED_MOMENT_IMAGE", ""))
_RECORDS_S = 900
_KNOWN_AS = ("ssh-keygen", "-y", "-f", "/data/state/ssh_host_ed25519_key")


@pytest.fixture(scope="module", autouse=True)
def _possible_here() -> None:
    if why := flashed_card.missing():
        pytest.skip(why)


@pytest.fixture(scope="module")
def card() -> Iterator[FlashedCard]:
    """Have a card in a machine whose owner has turned the network on."""
    with FlashedCard(IMAGE) as card:
        yield card


def status(card: FlashedCard) -> dict[str, object]:
    """Return what the recorder tells of itself; nothing where it does not answer."""
    try:
        told: dict[str, object] = json.loads(card.run("missed-moment", "status", "--json"))
    except CommandFailed:
        return {}
    return told


def until_it_records(card: FlashedCard) -> None:
    """Return when it records."""
    card.wait_until(lambda: status(card).get("state") == "recording", _RECORDS_S, "it records")


def clips(card: FlashedCard) -> list[str]:
    """Return where the kept clips are, oldest first."""
    return card.run("sh", "-c", "ls -d /data/clips/moment-*/clip.mp4 2>/dev/null || true").split()


def keep_a_moment(card: FlashedCard) -> None:
    """Press, and wait until the moment is whole."""
    before = len(clips(card))
    card.run("missed-moment", "press")
    card.wait_until(lambda: len(clips(card)) == before + 1, 300, "the moment is whole")


@pytest.mark.timeout(3600)
def test_first_start(card: FlashedCard) -> None:
    """It has come up whole, films before all else is there, and /data has grown to the card."""
    until_it_records(card)
    assert card.run("systemctl", "is-system-running", "--wait", timeout_s=900).strip() == "running"
    print(card.run(*doctor([*APPLIANCE_EXPECTS, "network-on", "booted", "own-kernel"]), timeout_s=1800))
    assert card.said_on_the_wire(), "what it says over the network is not recorded"
    size = int(card.run("findmnt", "--bytes", "--noheadings", "--output", "SIZE", "/data"))
    assert size > 0.5 * SIZE_MB * MB, f"/data has {size} bytes"
    films_before_all_is_there(status(card)["frames"]["first_s"], card.run)  # type: ignore[index]


@pytest.mark.timeout(3600)
def test_a_moment_goes_onto_a_stick(card: FlashedCard) -> None:
    """It is on the stick as it is on the card, and plays; the stick is off by then."""
    keep_a_moment(card)
    stick = Stick(card.place / "stick", "vfat")
    port = card.usb.plug(stick.image)
    card.wait_until(lambda: card.run("find", "/data/clips", "-name", "exported.json"), 600, "it is exported")
    card.wait_until(lambda: " usb" not in card.run("lsblk", "--nodeps", "-o", "NAME,TRAN"), 300, "the stick is off")
    card.usb.pull(port)
    assert stick.is_clean()
    found, _ = read(stick)
    on_card = card.run("sha256sum", *clips(card)).splitlines()
    assert {digest for name, digest in found.items() if name.endswith(".mp4")} == {line.split()[0] for line in on_card}


@pytest.mark.timeout(3600)
def test_it_starts_again(card: FlashedCard) -> None:
    """Once properly: the same key; once after the plug was pulled: what was kept is there. It records both times."""
    known_as = card.run(*_KNOWN_AS)
    card.reboot()
    until_it_records(card)
    assert card.run(*_KNOWN_AS) == known_as
    keep_a_moment(card)
    kept = clips(card)
    card.power_cut()
    card.switch_on()
    until_it_records(card)
    assert clips(card) == kept
    card.run("missed-moment", "check", *kept)
    assert card.run("systemctl", "list-units", "--failed", "--plain", "--no-legend") == ""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("board", [ARM64, PI3], ids=["virt", "raspi3b"])
def test_as_it_comes(board: Board, tmp_path: Path) -> None:
    """Nobody has asked for a network: it says nothing over it, and serves a stick nevertheless."""
    with FlashedCard(IMAGE, board, let_in=False) as card:
        stick = Stick(card.place / "stick", "vfat")
        port = card.usb.plug(stick.image)
        card.wait_until(lambda: card.usb.written(port) and stick.is_clean(), 3000, "the stick is served")
        stick.copy_out(tmp_path)
        assert (tmp_path / FOLDER / "index.html").exists()
        assert card.said_on_the_wire() == []
