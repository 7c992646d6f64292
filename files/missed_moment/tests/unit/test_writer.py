"""One order becomes one moment, or is said not to have become one."""

import contextlib
import errno
import os
import threading
from pathlib import Path

import pytest

from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.recovery import recover
from missed_moment.clips.writer import Order
from missed_moment.clock import NS
from missed_moment.errors import BitstreamError, StoreError, StoreFullError
from missed_moment.packets import VideoPacket
from missed_moment.ring import Ring
from rig import SMALL, FailingDisk, HookedDisk, assert_whole, film, order_of, writer_for


def ignore(_: Order) -> None:
    """Nobody waits for it."""


def visible(store: Path) -> list[str]:
    return sorted(path.name for path in store.iterdir() if not path.name.startswith("."))


def leftovers(store: Path) -> list[str]:
    return sorted(path.name for path in (store / names.INCOMING).iterdir())


def test_history_and_post_roll_become_one_whole_moment(tmp_path: Path) -> None:
    catalogue, writer = writer_for(tmp_path)
    packets = film(5)
    moment = writer.write(order_of(packets[:100], packets[100:]), ignore)
    assert moment is not None
    assert visible(tmp_path) == ["moment-000001"]
    assert leftovers(tmp_path) == []
    assert sorted(path.name for path in moment.path.iterdir()) == [names.CLIP, names.INFO, names.THUMBNAIL]
    assert assert_whole(moment.clip) == list(range(150))
    info = moment.info()
    assert (info.sequence, info.pictures, info.width, info.height) == (1, 150, SMALL.width, SMALL.height)
    assert info.duration_s == pytest.approx(5, abs=0.001)
    assert info.presses_ns == (packets[99].pts_ns,)
    assert info.gaps == ()
    assert not info.recovered
    assert catalogue.moments() == [moment]


def test_kept_is_said_after_the_sync_of_file_and_names_and_before_the_post_roll(tmp_path: Path) -> None:
    calls: list[str] = []
    _, writer = writer_for(tmp_path, HookedDisk(lambda name, _: calls.append(name)))
    packets = film(3)
    at_kept: list[int] = []

    def kept(order: Order) -> None:
        at_kept.append(len(calls))
        clip = tmp_path / names.INCOMING / "moment-000001" / names.CLIP
        assert clip.stat().st_size > sum(len(packet.data) for packet in packets[:60]) * 0.99

    writer.write(order_of(packets[:60], packets[60:]), kept)
    assert calls[: at_kept[0]][-3:] == ["sync", "sync_directory", "sync_directory"]
    assert "rename" not in calls[: at_kept[0]]
    assert calls[at_kept[0] :].count("writev") >= 2


def test_without_history_the_moment_begins_with_the_next_keyframe(tmp_path: Path) -> None:
    _, writer = writer_for(tmp_path)
    ring = Ring(10, 10**9)
    order = Order(ring.follow(0), SMALL, (0,), room=1)
    for packet in film(3)[20:]:
        ring.push_video(packet)
    ring.cut(order.take)
    moment = writer.write(order, ignore)
    assert moment is not None
    assert assert_whole(moment.clip) == list(range(30, 90))


def test_an_order_that_ends_before_any_picture_leaves_nothing(tmp_path: Path) -> None:
    _, writer = writer_for(tmp_path)
    assert writer.write(order_of([]), ignore) is None
    assert visible(tmp_path) == leftovers(tmp_path) == []


def test_a_withdrawn_order_is_not_finished_and_can_be_forgotten(tmp_path: Path) -> None:
    catalogue, writer = writer_for(tmp_path)
    packets = film(3)
    order = order_of(packets[:60], packets[60:])

    def change_of_mind(order: Order) -> None:
        order.withdrawn = True

    assert writer.write(order, change_of_mind) is None
    assert visible(tmp_path) == []
    assert order.sequence == 1
    catalogue.forget(1)
    assert visible(tmp_path) == leftovers(tmp_path) == []


def test_an_order_that_is_withdrawn_while_its_history_is_written_stops_at_the_next_fragment(tmp_path: Path) -> None:
    order = order_of(film(10))
    writes = 0

    def withdraw(call: str, _: object) -> None:
        nonlocal writes
        writes += call == "writev"
        order.withdrawn = writes >= 2

    writer_for(tmp_path)
    _, writer = writer_for(tmp_path, HookedDisk(withdraw))
    assert writer.write(order, ignore) is None
    assert not order.kept
    assert writes <= 3, "of ten fragments"


def test_a_stream_without_parameter_sets_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    _, writer = writer_for(tmp_path)
    with pytest.raises(BitstreamError):
        writer.write(order_of([VideoPacket.of(b"\0\0\1\x65abc", 0, True)]), ignore)
    assert visible(tmp_path) == leftovers(tmp_path) == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["mkdir", "create", "writev", "sync", "sync_directory"])
def test_where_the_disk_fails_before_kept_nothing_is_left_and_the_next_save_works(
    tmp_path: Path, call: str, error: int
) -> None:
    disk = FailingDisk(call, error, skip=1)
    disk.mend()
    _, writer = writer_for(tmp_path, disk)
    disk.mended = False
    disk._left = 0
    with pytest.raises(StoreError, match=os.strerror(error)[:8] + "|injected") as caught:
        writer.write(order_of(film(2)), ignore)
    assert "could not be kept" in str(caught.value)
    assert disk.failed
    disk.mend()
    assert visible(tmp_path) == leftovers(tmp_path) == []
    assert writer.write(order_of(film(2)), ignore) is not None


@pytest.mark.parametrize("call", ["writev", "sync", "pwrite", "rename", "sync_directory", "create"])
@pytest.mark.parametrize("skip", range(6))
def test_where_the_disk_fails_after_kept_the_moment_is_not_lost(tmp_path: Path, call: str, skip: int) -> None:
    """Either it is finished with what was kept, or the next start does it."""
    disk = FailingDisk(call, errno.EIO, skip)
    disk.mended = True
    catalogue, writer = writer_for(tmp_path, disk)
    packets = film(6)

    def kept(_: Order) -> None:
        disk.mended = False

    with contextlib.suppress(StoreError):  # the last of these calls are never reached
        writer.write(order_of(packets[:60], packets[60:]), kept)
    disk.mend()
    recover(catalogue, "test")
    [moment] = catalogue.moments()
    assert assert_whole(moment.clip)[:60] == list(range(60))
    assert moment.info().sequence == 1
    assert leftovers(tmp_path) == []
    assert writer.write(order_of(packets), ignore) is not None


def test_a_full_store_is_said_before_anything_is_written(tmp_path: Path) -> None:
    _, writer = writer_for(tmp_path)
    order = order_of(film(1))
    order.room = 2**60
    with pytest.raises(StoreFullError, match="USB stick"):
        writer.write(order, ignore)
    assert visible(tmp_path) == leftovers(tmp_path) == []


def test_a_gap_in_the_pictures_is_told(tmp_path: Path) -> None:
    _, writer = writer_for(tmp_path)
    packets = film(4)
    moment = writer.write(order_of([*packets[:60], *packets[90:]]), ignore)
    assert moment is not None
    [gap] = moment.info().gaps
    assert gap.at_s == pytest.approx(59 / 30, abs=0.01)
    assert gap.length_s == pytest.approx(31 / 30, abs=0.01)


def test_in_low_light_there_is_no_gap_but_where_frames_are_missing(tmp_path: Path) -> None:
    """From 30 frames a second to 7.5."""
    packets = film(4)
    slow = [packet._replace(pts_ns=(4 * number - 3 * 60) * NS // 30) for number, packet in enumerate(packets[60:], 60)]
    _, writer = writer_for(tmp_path)
    moment = writer.write(order_of([*packets[:60], *slow]), ignore)
    assert moment is not None
    assert moment.info().gaps == ()
    moment = writer.write(order_of([*packets[:60], *slow[:30], *slow[33:]]), ignore)
    assert moment is not None
    [gap] = moment.info().gaps
    assert gap.length_s == pytest.approx(4 / 7.5, abs=0.01)


def test_pictures_that_come_while_it_waits_are_written_as_they_come(tmp_path: Path) -> None:
    """The reader never sees more of a growing moment at risk than one fragment."""
    catalogue, writer = writer_for(tmp_path)
    packets = film(6)
    ring = Ring(10, 10**9)
    for packet in packets[:60]:
        ring.push_video(packet)
    order = Order(ring.follow(0), SMALL, (2 * NS,), room=1)
    kept = threading.Event()
    thread = threading.Thread(target=writer.write, args=(order, lambda _: kept.set()))
    thread.start()
    assert kept.wait(10)
    for packet in packets[60:150]:
        ring.push_video(packet)
    ring.end(order.take, 5 * NS)
    for packet in packets[150:]:
        ring.push_video(packet)
    thread.join(10)
    [moment] = Catalogue(tmp_path, catalogue.disk).moments()
    assert assert_whole(moment.clip) == list(range(150))
