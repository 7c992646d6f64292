"""Whatever is plugged in: the LED says how it ended, nothing foreign is lost, the device is as before, and goes on."""

import subprocess
from pathlib import Path

import pytest

from machines import hostile_sticks
from machines.hostile_images import FOREIGN, foreign_on, vfat
from machines.hostile_sticks import Hostile
from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import digests_on, kept_digests, plug_until_solid

CASES = list(hostile_sticks.cases())
_UNTOUCHED = "cd /etc && find . -type f -newer /run/hostile -not -path './.updated' | sort"


def readable(image: Path) -> dict[str, bytes] | None:
    """Return the foreign files, None where the host cannot read the stick either."""
    try:
        return foreign_on(image)
    except (subprocess.CalledProcessError, FileNotFoundError):
        return None


def test_a_lost_foreign_file_is_seen(tmp_path: Path) -> None:
    """The foreign files on a sound stick are read, and one that is gone, or changed, is missed."""
    image = tmp_path / "stick"
    vfat(image)
    assert readable(image) == FOREIGN
    subprocess.run(["mdel", "-i", image, "::letter.txt"], check=True)
    assert readable(image) is None
    vfat(image, {"letter.txt": b"Dear Madam,\n"})
    assert readable(image) != FOREIGN


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_hostile_stick(case: Hostile, kept: VirtualDevice) -> None:
    """It ends in one of the ways that are right for it, and the same moments are there afterwards."""
    image = kept.place / "hostile"
    case.make(image)
    kept.write_setting("stick", "filesystems", case.accepted)
    foreign = readable(image)
    before, moments = kept.now(), kept_digests(kept)

    port = kept.plug(image, **case.manner)
    kept.wait_until(lambda: kept.led_names(before)[-1:] in [[led] for led in case.led], 240, f"one of {case.led}")
    kept.pull(port)
    kept.wait_until(lambda: kept.led_names(before)[-1:] in (["recording"], ["fault 4"]), 60, "it goes on")

    assert kept_digests(kept) == moments
    assert kept.run("sh", "-c", _UNTOUCHED) == ""
    if foreign == FOREIGN:
        assert readable(image) == FOREIGN


def test_the_next_good_stick_works(kept: VirtualDevice) -> None:
    """After all of that."""
    stick = Stick(kept.place / "good", "exfat")
    kept.pull(plug_until_solid(kept, stick))
    assert digests_on(kept, stick) == kept_digests(kept)
