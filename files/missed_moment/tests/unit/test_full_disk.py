"""A disk that fills up at any write: what may leave makes room, what was kept is finished, and nothing else goes."""

import contextlib
import errno
import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from missed_moment.board import Board
from missed_moment.clips import names, room
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.recovery import recover
from missed_moment.clips.room import Room
from missed_moment.clips.writer import Label, MomentWriter, Order
from missed_moment.durable import Disk, LocalDisk
from missed_moment.errors import StoreError, StoreFullError
from missed_moment.health import Fault
from missed_moment.services import saver
from rig import (
    FailingDisk,
    FullDisk,
    HookedDisk,
    assert_whole,
    filled,
    film,
    order_of,
    recording,
    store_moment,
    stored,
    wait_for,
)


def store_with(store: Path, disk: Disk, exported: int) -> tuple[Catalogue, MomentWriter]:
    """A store with one moment that was never exported, and so many that were; and its writer, on `disk`."""
    for _ in range(exported + 1):
        store_moment(store, seconds=1)
    there = Catalogue(store, LocalDisk())
    for moment in there.moments()[1:]:
        there.mark_exported(moment, "0" * 64)
    catalogue = Catalogue(store, disk)
    return catalogue, MomentWriter(catalogue, Room(catalogue, "stop", timedelta(days=30)), Board(), Label("test"))


def full_at_any_write(root: Path, exported: int) -> Iterator[tuple[FullDisk, Catalogue, MomentWriter]]:
    """Yield stores whose disks are full at their first write, at their second, and so on, until one is not full."""
    for full_at in itertools.count():
        disk = FullDisk(full_at)
        yield disk, *store_with(root / str(full_at), disk, exported)
        if not disk.was_full:
            assert full_at > 15
            return


def growing_order() -> Order:
    packets = film(6)
    return order_of(packets[:60], packets[60:])


def test_full_at_any_write_what_is_exported_makes_room_and_the_whole_moment_is_kept(tmp_path: Path) -> None:
    for disk, catalogue, writer in full_at_any_write(tmp_path, exported=2):
        kept: list[Order] = []
        moment = writer.write(growing_order(), kept.append)
        assert kept
        assert moment is not None
        assert assert_whole(moment.clip) == list(range(180))
        assert (moment.path / names.THUMBNAIL).exists()
        assert moment.info().pictures == 180
        assert [moment.sequence for moment in catalogue.moments()] == ([1, 3, 4] if disk.was_full else [1, 2, 3, 4])
        assert catalogue.leftovers() == []


def test_full_at_any_write_with_nothing_that_may_leave_what_was_kept_is_never_lost(tmp_path: Path) -> None:
    for disk, catalogue, writer in full_at_any_write(tmp_path, exported=0):
        kept: list[Order] = []
        with contextlib.suppress(StoreError):
            writer.write(growing_order(), kept.append)
        disk.mended = True
        recover(catalogue, "test")
        assert catalogue.leftovers() == []
        assert [moment.sequence for moment in catalogue.moments()] == ([1, 2] if kept else [1])
        for moment in catalogue.moments()[1:]:
            assert assert_whole(moment.clip)[:60] == list(range(60))


def test_a_full_disk_can_always_free_space(tmp_path: Path) -> None:
    """Nothing has to be written for it; and the number of what was deleted is not given again."""
    disk = FullDisk(0, relents=False)
    catalogue, _ = store_with(tmp_path, disk, exported=2)
    newest = catalogue.moments()[-1]
    catalogue.remove(newest)
    assert not list(tmp_path.rglob(f"{newest.path.name}/{names.CLIP}"))
    disk.mended = True
    sequence, incoming = catalogue.begin()
    assert sequence == 4
    catalogue.discard(incoming)
    recover(catalogue, "test")
    assert catalogue.leftovers() == []
    assert catalogue.begin()[0] == 4


@pytest.mark.parametrize("full_at", range(3))
def test_recovery_on_a_full_disk_makes_room(tmp_path: Path, full_at: int) -> None:
    cut = FailingDisk("writev", errno.EIO, skip=5)
    _, writer = store_with(tmp_path, cut, exported=1)
    cut._left = 5
    with contextlib.suppress(StoreError):
        writer.write(growing_order(), lambda _: None)
    disk = FullDisk(full_at)
    catalogue = Catalogue(tmp_path, disk)
    assert len(catalogue.leftovers()) == 1
    [moment] = recover(catalogue, "test", room=Room(catalogue, "stop", timedelta(days=30)))
    assert assert_whole(moment.clip)[:60] == list(range(60))
    assert disk.was_full
    assert [moment.sequence for moment in catalogue.moments()] == [1, 3]


class Capacity(LocalDisk):
    """A disk with room for so many bytes, in blocks of 4 KiB: what is beyond is written in part, then not at all."""

    def __init__(self, root: Path, capacity: int) -> None:
        self._root, self.capacity = root, capacity

    def free(self, path: Path) -> int:
        used = sum(-(-entry.lstat().st_size // 4096) * 4096 for entry in self._root.rglob("*"))
        return max(0, self.capacity - used)

    def writev(self, descriptor: int, buffers: list[memoryview]) -> int:
        free = self.free(self._root)
        if not free:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().writev(descriptor, [b"".join(buffers)[:free]])


@pytest.mark.parametrize("exported", [0, 3])
def test_a_moment_that_grows_makes_room_as_it_grows_and_leaves_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: int
) -> None:
    monkeypatch.setattr(room, "RESERVE", 100_000)
    disk = Capacity(tmp_path, 1 << 40)
    catalogue, writer = store_with(tmp_path, disk, exported)
    order = growing_order()
    order.room = sum(len(packet.data) for packet in order.take.history)
    disk.capacity -= disk.free(tmp_path) - order.room - 100_000 - 20_000
    if exported:
        moment = writer.write(order, lambda _: None)
        assert moment is not None
        assert assert_whole(moment.clip) == list(range(180))
        assert 1 in {moment.sequence for moment in catalogue.moments()}
        assert len(catalogue.moments()) < exported + 2
    else:
        with pytest.raises(StoreFullError):
            writer.write(order, lambda _: None)
        assert 60 <= len(assert_whole(catalogue.moments()[-1].clip)) < 180
    assert disk.free(tmp_path) > 60_000


def test_what_a_full_disk_did_not_finish_is_finished_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "_LOOK_S", 0.1)
    full = [False]

    def fail(call: str, _: object) -> None:
        if full[0] and call in {"create", "writev"}:
            raise OSError(errno.ENOSPC, "No space left on device")

    class Disk(HookedDisk):
        def free(self, path: Path) -> int:
            return 0 if full[0] else 1 << 40

    with recording(tmp_path, Disk(fail), after_s=1.5) as recorder:
        filled(recorder)
        recorder.press()
        wait_for(lambda: recorder._presses._order.kept)
        full[0] = True
        assert recorder.wait_saved(20)
        wait_for(lambda: Fault.STORAGE_FULL in recorder.health.faults())
        assert stored(tmp_path) == []
        full[0] = False
        wait_for(lambda: len(stored(tmp_path)) == 1)
        wait_for(lambda: Fault.STORAGE_FULL not in recorder.health.faults())
