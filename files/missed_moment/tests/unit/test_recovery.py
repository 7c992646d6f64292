"""What a power cut leaves behind, and what the next start makes of it."""

import errno
import itertools
from pathlib import Path

import pytest

from missed_moment import clock
from missed_moment.clips import mp4, names
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.growing import GrowingClip
from missed_moment.clips.recovery import recover
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from rig import SMALL, FailingDisk, HookedDisk, assert_whole, film, order_of, writer_for


class PowerCutError(Exception):
    """The process is gone."""


def cut_at(store: Path, step: int) -> tuple[bool, bool]:
    """Write a moment and cut the power before the `step`-th call to the disk: (was it kept, was it cut)?"""
    left, kept = [step], [False]

    def hook(_: str, __: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise PowerCutError

    packets = film(4)
    writer_for(store)  # the store is there before
    _, writer = writer_for(store, HookedDisk(hook))

    def on_kept(_: object) -> None:
        kept[0] = True

    try:
        writer.write(order_of(packets[:70], packets[70:]), on_kept)
    except PowerCutError:
        return kept[0], True
    return kept[0], False


def test_whatever_the_instant_what_was_kept_is_there_and_nothing_half_is_visible(tmp_path: Path) -> None:
    step, cut = 0, True
    while cut:
        store = tmp_path / str(step)
        kept, cut = cut_at(store, step)
        catalogue = Catalogue(store, LocalDisk())
        before = catalogue.moments()
        assert len(before) <= 1
        recovered = recover(catalogue, "test")
        moments = catalogue.moments()
        assert len(moments) == len(before) + len(recovered)
        assert catalogue.leftovers() == []
        if kept:
            [moment] = moments
            assert assert_whole(moment.clip)[:70] == list(range(70))
            assert (moment.path / names.THUMBNAIL).exists()
            info = moment.info()
            assert info.sequence == 1
            assert info.pictures == len(assert_whole(moment.clip))
        step += 1
    assert step > 40


def test_a_recovered_moment_says_so_and_keeps_what_was_known(tmp_path: Path) -> None:
    stores = (tmp_path / str(step) for step in itertools.count())
    for step, store in enumerate(stores):  # until the cut comes after the description, and before the end
        cut_at(store, step)
        if list(store.glob(f"{names.INCOMING}/*/{names.INFO}")):
            break
    [moment] = recover(Catalogue(store, LocalDisk()), "test")
    info = moment.info()
    assert info.recovered
    assert info.presses_ns == (film(4)[69].pts_ns,)
    assert info.boot_id == clock.boot_id()
    assert info.pictures == len(assert_whole(moment.clip))


def test_a_leftover_without_one_whole_fragment_goes(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, LocalDisk())
    catalogue.prepare()
    for content in (None, b"", b"garbage" * 100):
        _, incoming = catalogue.begin()
        if content is not None:
            (incoming / names.CLIP).write_bytes(content)
    assert recover(catalogue, "test") == []
    assert catalogue.leftovers() == catalogue.moments() == []


def test_a_leftover_that_the_disk_does_not_let_us_finish_waits_for_the_next_start(tmp_path: Path) -> None:
    cut_at(tmp_path, 25)
    recover(Catalogue(tmp_path, FailingDisk("writev", errno.ENOSPC)), "test")
    catalogue = Catalogue(tmp_path, LocalDisk())
    assert len(catalogue.leftovers()) == 1
    assert catalogue.moments() == []
    [moment] = recover(catalogue, "test")
    assert moment.info().recovered
    assert len(assert_whole(moment.clip)) >= 70


def test_recovering_twice_changes_nothing(tmp_path: Path) -> None:
    cut_at(tmp_path, 25)
    catalogue = Catalogue(tmp_path, LocalDisk())
    assert len(recover(catalogue, "test")) == 1
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert recover(catalogue, "test") == []
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_what_an_earlier_version_wrote_across_an_outage_of_hours_is_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be finished, neither then nor at any start."""
    catalogue = Catalogue(tmp_path, LocalDisk())
    catalogue.prepare()
    _, incoming = catalogue.begin()
    packets = film(3)
    late = [packet._replace(pts_ns=packet.pts_ns + 14 * 3600 * NS * (n >= 30)) for n, packet in enumerate(packets)]
    with monkeypatch.context() as patched:
        patched.setattr(mp4, "MAX_TICKS", 2**63, raising=False)
        clip = GrowingClip(LocalDisk(), incoming / names.CLIP, late[0], SMALL)
        for fragment in clip.fragments(late):
            clip.write(fragment)
        clip.close()
    [moment] = recover(catalogue, "test")
    assert assert_whole(moment.clip) == list(range(90))
    assert moment.info().duration_s == pytest.approx(3, abs=0.01)
