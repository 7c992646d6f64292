"""The power may go at any point of a day: whatever was reported kept by then is there afterwards, and whole.

And what was reported forgotten is not.
"""

import contextlib
import hashlib
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from machines.write_log import Epoch, Write, apply, entries, epochs, some_of
from missed_moment.clips.catalogue import Catalogue, Moment
from missed_moment.clips.recovery import recover
from missed_moment.durable import LocalDisk
from stories.filling import plug_until_solid

POINTS = 1000
_FILL = "fallocate -l $(($(stat -f -c '%a * %S' /data) - $1)) /data/filler"


@dataclass
class Day:
    """What was done, and between which entries of the log each moment must be there."""

    kept_at: dict[int, int] = field(default_factory=dict)
    gone_at: dict[int, int] = field(default_factory=dict)
    forgotten_at: dict[int, int] = field(default_factory=dict)

    def forgotten(self, entry: int) -> set[int]:
        """Return the moments that must not be there, had the power gone after that entry."""
        return {number for number, at in self.forgotten_at.items() if at <= entry}

    def due(self, entry: int) -> set[int]:
        """Return the moments that must be there, had the power gone after that entry."""
        kept = {number for number, at in self.kept_at.items() if at <= entry}
        return {number for number in kept if entry < self.gone_at.get(number, entry + 1)}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Day, int]:
    """Have a device live through a day; give what its data partition was at first, the log, the day, and an offset."""
    if not Path("/dev/loop-control").exists():
        pytest.skip("file systems are looked at through loop devices, and there are none here")
    place = tmp_path_factory.mktemp("day")
    with VirtualDevice(log_writes=True) as device:
        before, log = place / "before", place / "log"
        begin = device.data_as_it_was(before)
        day = _live(device)
        shutil.copy(device.writes, log)
    return before, log, day, begin


def _live(device: VirtualDevice) -> Day:
    device.until_it_records(180)
    day = Day()

    def press() -> None:
        pressed = device.press()
        number = max(day.kept_at, default=0) + 1
        device.wait_until(lambda: "kept" in device.led_names(pressed), 60, "the LED says kept")
        day.kept_at[number] = entries(device.writes)
        # A press meanwhile would let this one grow.
        device.wait_until(lambda: len(device.moments()) == number, 60, "it is whole")

    for _ in range(3):
        press()
    held = device.press_and_hold()
    device.wait_until(lambda: "forgotten" in device.led_names(held), 120, "the LED shows forgotten")
    day.forgotten_at[4] = entries(device.writes)
    device.until_it_records(180)
    device.press_and_kill()  # the recorder, not the power: finished by the one that comes after it
    device.wait_until(lambda: len(device.moments()) == 4, 120, "it is finished")
    day.kept_at[5] = entries(device.writes)
    device.pull(plug_until_solid(device, Stick(device.place / "stick", "vfat")))
    device.until_it_records(60)
    # Room for nothing: what is exported leaves, the oldest first, as soon as there is a press.
    device.run("sh", "-c", _FILL, "sh", str(20 << 20))
    for number in (1, 2):
        day.gone_at[number] = entries(device.writes)
        _press_where_one_leaves(device)
        day.kept_at[max(day.kept_at) + 1] = entries(device.writes)
    return day


def _press_where_one_leaves(device: VirtualDevice) -> None:
    newest = device.moments()[-1]["clip"]
    device.press()
    device.wait_until(lambda: device.moments()[-1]["clip"] != newest, 60, "the moment is finished")


@pytest.mark.timeout(2 * 3600)
def test_the_power_goes_at_any_point(recorded: tuple[Path, Path, Day, int], tmp_path: Path) -> None:
    """At each flush, and at random points between two of them."""
    before, log, day, begin = recorded
    size = before.stat().st_size
    held = tmp_path / "held"
    _copy(before, held)
    whole: set[str] = set()
    chance = random.Random(6)  # noqa: S311 - the same points each time
    all_epochs = list(epochs(log))
    between = max(1, POINTS // len(all_epochs))
    points = 0
    for number, epoch in enumerate(all_epochs):
        for _ in range(between):
            _look(held, some_of(epoch, chance), begin, day, _last(all_epochs, number), whole)
            points += 1
        apply(epoch.writes, held, begin, size)
        _look(held, [], begin, day, epoch.end, whole)
        points += 1
    print(f"{points} points, {len(all_epochs)} of them flushes; {len(day.kept_at)} moments, {len(whole)} clips played")
    assert points >= POINTS


def _last(all_epochs: list[Epoch], number: int) -> int:
    return all_epochs[number - 1].end if number else 0


def _look(held: Path, more: list[Write], begin: int, day: Day, entry: int, whole: set[str]) -> None:
    """Start anew from what the disk held after that entry of the log: repaired, mounted, and recovered.

    All that is due is there and plays, and nothing that was forgotten is.
    """
    image = held.with_name("image")
    _copy(held, image)
    apply(more, image, begin, held.stat().st_size)
    repaired = subprocess.run(["e2fsck", "-y", image], check=False, capture_output=True, text=True)
    assert repaired.returncode in {0, 1}, repaired.stdout
    with _mounted(image) as place:
        catalogue = Catalogue(place / "clips", LocalDisk())
        catalogue.prepare()
        recover(catalogue, "kitchen")
        moments = catalogue.moments()
        due, there = day.due(entry), {moment.sequence for moment in moments}
        assert due <= there, (due, moments)
        assert not day.forgotten(entry) & there, moments
        for moment in moments:
            _plays(moment, whole)
        assert catalogue.leftovers() == []


def _plays(moment: Moment, whole: set[str]) -> None:
    digest = hashlib.sha256(moment.clip.read_bytes()).hexdigest()
    if digest not in whole:
        subprocess.run([sys.executable, "-m", "missed_moment", "check", moment.clip], check=True, capture_output=True)
        whole.add(digest)
    moment.info()


@contextlib.contextmanager
def _mounted(image: Path) -> Iterator[Path]:
    place = image.with_name("mounted")
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", source, target], check=True)
