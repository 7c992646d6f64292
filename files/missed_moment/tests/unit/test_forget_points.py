"""The power may go at any call of a forgetting, or the disk fail: what was said to be forgotten never comes back."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.recovery import recover
from missed_moment.clips.writer import Order
from missed_moment.durable import Data, LocalDisk, overwrite
from rig import FailingDisk, HookedDisk, film, order_of, store_moment, writer_for

PACKETS = film(4)
MARKS = [packet.data[-40:] for packet in PACKETS if packet.keyframe]
STATES = ["stored", "growing", "not kept yet"]


class PowerCutError(BaseException):
    """The process is gone: nothing catches that."""


class Card(LocalDisk):
    """A disk that loses all that was not synced when the power goes, before its `steps`-th call.

    What is removed stays on it, as it was then: `remains` has what a search of the raw card would find.
    """

    def __init__(self, steps: int, aside: Path) -> None:
        self._left = steps
        self._aside = aside
        self._undo: list[tuple[object, Callable[[], None]]] = []
        self.remains = b""

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise PowerCutError

    def power_cut(self) -> None:
        """Lose what was not synced."""
        for _, undo in reversed(self._undo):
            undo()

    def _durable(self, what: object) -> None:
        self._undo = [(other, undo) for other, undo in self._undo if other != what]

    def open(self, path: Path) -> int:
        self._step()
        return super().open(path)

    def create(self, path: Path) -> int:
        self._step()
        descriptor = super().create(path)
        self._undo.append((path.parent, lambda: path.unlink(missing_ok=True)))
        return descriptor

    def writev(self, descriptor: int, buffers: Sequence[Data]) -> int:
        self._step()
        return super().writev(descriptor, buffers)

    def pwrite(self, descriptor: int, data: Data, offset: int) -> int:
        self._step()
        file, before = os.fstat(descriptor).st_ino, os.pread(descriptor, len(data), offset)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()

        def undo() -> None:
            with path.open("r+b") as opened:
                opened.seek(offset)
                opened.write(before)

        self._undo.append((file, undo))
        return super().pwrite(descriptor, data, offset)

    def sync(self, descriptor: int) -> None:
        self._step()
        super().sync(descriptor)
        self._durable(os.fstat(descriptor).st_ino)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)
        if target.is_dir():
            self._undo.append((target.parent, lambda: target.rename(source)))

    def sync_directory(self, path: Path) -> None:
        self._step()
        super().sync_directory(path)
        self._durable(path)

    def remove(self, path: Path) -> None:
        self._step()
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        unsynced = [file for file in files if file.stat().st_ino in {what for what, _ in self._undo}]
        assert not unsynced, "what is removed before it is durably overwritten may be found"
        self.remains += b"".join(file.read_bytes() for file in files)
        kept = self._aside / f"{len(list(self._aside.iterdir()))}"
        shutil.copytree(path, kept) if path.is_dir() else shutil.copy(path, kept)
        self._undo.append((path.parent, lambda: kept.rename(path)))
        super().remove(path)


def moment_in(store: Path, state: str, *, another: bool = True) -> None:
    """Put moment 1 into a store, as far as `state` says, and one that nobody forgets as moment 2."""
    stop_at = {"stored": None, "growing": "kept", "not kept yet": "sync"}[state]

    def stop(name: str, _: object) -> None:
        if name == stop_at:
            raise PowerCutError

    _, writer = writer_for(store, HookedDisk(stop))

    def on_kept(_: Order) -> None:
        stop("kept", None)

    try:
        writer.write(order_of(PACKETS[:70], PACKETS[70:]), on_kept)
    except PowerCutError:
        assert state != "stored"
    if another:
        store_moment(store, 1)
        assert (store / "moment-000002").is_dir()


def marks_in(data: bytes) -> list[bytes]:
    return [mark for mark in MARKS if mark in data]


def all_of(store: Path, number: int) -> bytes:
    files = [path for path in store.rglob("*") if path.is_file() and f"moment-{number:06d}" in str(path)]
    return b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("state", STATES)
def test_wherever_the_power_goes_nothing_comes_back(state: str, tmp_path: Path) -> None:
    cut, steps, came_back = True, 0, 0
    while cut:
        store, aside = tmp_path / str(steps), tmp_path / f"{steps}-aside"
        aside.mkdir()
        moment_in(store, state)
        assert marks_in(all_of(store, 1))
        card = Card(steps, aside)
        try:
            Catalogue(store, card).forget(1)
            cut = False
        except PowerCutError:
            pass
        card.power_cut()  # also after the end: what is said to be forgotten then is durably so
        buried = not (store / names.INCOMING / "moment-000001").exists() and not (store / "moment-000001").exists()
        assert buried or cut
        recovering = Card(10**9, aside)
        recover(Catalogue(store, recovering), "test")
        catalogue = Catalogue(store, LocalDisk())
        assert catalogue.leftovers() == []
        there = [moment.sequence for moment in catalogue.moments()]
        assert 2 in there, "nobody has forgotten this one"
        if buried:
            assert there == [2]
            assert not marks_in(all_of(store, 1))
            assert not marks_in(card.remains + recovering.remains)
        came_back += 1 in there
        assert not marks_in(card.remains)
        steps += 1
    assert steps > 8
    assert came_back <= 2, "only before the tombstone is durable, and then nobody has said that it is forgotten"


@pytest.mark.parametrize("state", STATES)
def test_a_recovery_may_be_cut_short_as_well(state: str, tmp_path: Path) -> None:
    cut, steps = True, 0
    while cut:
        store, aside = tmp_path / str(steps), tmp_path / f"{steps}-aside"
        aside.mkdir()
        moment_in(store, state)
        forgetting = Card(4, aside)  # the tombstone is durable, no more
        with pytest.raises(PowerCutError):
            Catalogue(store, forgetting).forget(1)
        forgetting.power_cut()
        card = Card(steps, aside)
        try:
            recover(Catalogue(store, card), "test")
            cut = False
        except PowerCutError:
            pass
        card.power_cut()
        last = Card(10**9, aside)
        assert recover(Catalogue(store, last), "test") == []
        assert [moment.sequence for moment in Catalogue(store, last).moments()] == [2]
        assert not marks_in(all_of(store, 1) + forgetting.remains + card.remains + last.remains)
        steps += 1
    assert steps > 5


@pytest.mark.parametrize("call", ["rename", "sync_directory", "open", "pwrite", "sync", "remove"])
@pytest.mark.parametrize("state", STATES)
def test_where_the_disk_fails_it_is_said_and_the_next_attempt_forgets(state: str, call: str, tmp_path: Path) -> None:
    moment_in(tmp_path, state)
    disk = FailingDisk(call, errno.EIO)
    with pytest.raises(OSError, match="injected"):
        Catalogue(tmp_path, disk).forget(1)
    disk.mend()
    Catalogue(tmp_path, disk).forget(1)
    assert [moment.sequence for moment in Catalogue(tmp_path, disk).moments()] == [2]
    assert Catalogue(tmp_path, disk).leftovers() == []


@pytest.mark.parametrize("state", STATES)
def test_a_full_disk_forgets(state: str, tmp_path: Path) -> None:
    """Nothing new is needed: neither for the tombstone nor for what is overwritten where it lies."""
    moment_in(tmp_path, state)
    full = FailingDisk("create", errno.ENOSPC)
    Catalogue(tmp_path, full).forget(1)
    assert [moment.sequence for moment in Catalogue(tmp_path, full).moments()] == [2]


def test_the_number_of_a_forgotten_moment_is_not_given_again(tmp_path: Path) -> None:
    catalogue, _ = writer_for(tmp_path)
    store_moment(tmp_path, 1)
    catalogue.forget(1)
    assert catalogue.begin()[0] == 2


def test_the_number_of_a_tombstone_is_not_given_to_a_moment_that_it_would_take_with_it(tmp_path: Path) -> None:
    disk = FailingDisk("pwrite", errno.EIO)
    catalogue = Catalogue(tmp_path, disk)
    store_moment(tmp_path, 1)
    with pytest.raises(OSError, match="injected"):
        catalogue.forget(1)
    store_moment(tmp_path, 1)
    disk.mend()
    catalogue.forget(1)
    assert [moment.sequence for moment in catalogue.moments()] == [2]
    assert catalogue.leftovers() == []


@pytest.mark.parametrize("call_number", range(0, 60, 3))
def test_an_order_that_is_withdrawn_at_any_call_leaves_nothing(call_number: int, tmp_path: Path) -> None:
    order = order_of(PACKETS[:70], PACKETS[70:])
    calls = 0

    def withdraw(_: str, __: object) -> None:
        nonlocal calls
        calls += 1
        if calls == call_number:
            order.withdrawn = True

    writer_for(tmp_path)  # the store is there before
    catalogue, writer = writer_for(tmp_path, HookedDisk(withdraw))
    writer.write(order, lambda _: None)
    if order.withdrawn and order.sequence is not None:
        catalogue.forget(order.sequence)  # as the saver does
    expected = [] if order.withdrawn else [1]
    assert [moment.sequence for moment in catalogue.moments()] == expected
    assert catalogue.leftovers() == []


def test_what_never_became_a_moment_is_overwritten_too(tmp_path: Path) -> None:
    """It failed, or was cut before it was kept: its part of the minute would stay on the card."""
    (tmp_path / "aside").mkdir()
    moment_in(tmp_path / "clips", "not kept yet", another=False)
    card = Card(10**9, tmp_path / "aside")
    Catalogue(tmp_path / "clips", card).discard(tmp_path / "clips" / names.INCOMING / "moment-000001")
    assert card.remains
    assert not marks_in(card.remains)


def test_what_cannot_be_overwritten_is_removed_all_the_same_if_nobody_forgot_it(tmp_path: Path) -> None:
    moment_in(tmp_path, "not kept yet", another=False)
    catalogue = Catalogue(tmp_path, FailingDisk("pwrite", errno.EIO))
    catalogue.discard(tmp_path / names.INCOMING / "moment-000001")
    assert catalogue.leftovers() == []


@contextmanager
def ext4(image: Path) -> Iterator[Path]:
    """Make a file system like that of /data in a file, and mount it for the length of a block."""
    place = image.with_name("mounted")
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime,errors=remount-ro", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.skipif(
    sys.platform != "linux"
    or os.geteuid() != 0
    or not Path("/dev/loop-control").exists()
    or shutil.which("mkfs.ext4") is None,
    reason="needs root, loop devices and mkfs.ext4",
)
@pytest.mark.parametrize("state", ["stored", "growing"])
def test_no_block_of_a_real_file_system_holds_it(state: str, tmp_path: Path) -> None:
    """Without discard, and before anybody unmounts: it is gone when `forget` returns. What is unlinked is not."""
    for way, left in ((Catalogue.forget, False), (unlink, True)):
        image = tmp_path / way.__name__ / "card"
        image.parent.mkdir()
        with ext4(image) as place:
            moment_in(place / "clips", state, another=False)
            os.sync()
            assert marks_in(image.read_bytes())
            way(Catalogue(place / "clips", LocalDisk()), 1)
            assert bool(marks_in(image.read_bytes())) is left
        assert bool(marks_in(image.read_bytes())) is left


def unlink(catalogue: Catalogue, number: int) -> None:
    for parent in (catalogue.root, catalogue.incoming):
        shutil.rmtree(parent / f"moment-{number:06d}", ignore_errors=True)
    os.sync()


class Hesitant(LocalDisk):
    """Takes a little at a time."""

    def pwrite(self, descriptor: int, data: Data, offset: int) -> int:
        return super().pwrite(descriptor, memoryview(data)[:1000], offset)


@pytest.mark.parametrize("size", [0, 1, 999, 4096, 3_000_001])
def test_every_byte_is_overwritten_and_no_other(size: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    overwrite(Hesitant(), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == bytes(size)
