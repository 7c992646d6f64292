"""A camera that is started again with another format: no clip has two, and nothing is lost."""

import errno
import itertools
from pathlib import Path
from typing import Any

import av
import pytest

from missed_moment.capture.painting import read_number
from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue, Moment
from missed_moment.clips.writer import Order
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from missed_moment.errors import StoreError
from missed_moment.h264 import ParameterSets
from rig import FORMATS, LARGER, SMALL, HookedDisk, film, numbers_in, order_of, recording, restarted_film, writer_for
from sound_rig import SoundCard


def ignore(_: Order) -> None:
    """Nobody waits for it."""


def moments(store: Path) -> list[Moment]:
    return Catalogue(store, LocalDisk()).moments()


def seen_after_seeking(clip: Path, at_s: float) -> int | None:
    """Seek to the end, then to a time; return the number of the first frame that is shown there."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        for wanted_s in (1.9, at_s):
            container.seek(int(wanted_s / stream.time_base), stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.time >= wanted_s - 0.02)
        return read_number(frame.reformat(format="gray").to_ndarray())


def assert_a_moment_for_each_format(store: Path, formats: str) -> None:
    found = moments(store)
    assert len(found) == len(FORMATS[formats])
    for moment, arguments in zip(found, FORMATS[formats], strict=True):
        video = arguments.get("video", SMALL)
        seen, numbers = numbers_in(moment.clip)
        assert numbers == list(range(60))
        info = moment.info()
        assert (seen.width, seen.height) == (info.width, info.height) == (video.width, video.height)
        assert info.gaps == ()
        assert [seen_after_seeking(moment.clip, at_s) for at_s in (0.0, 1.1, 0.5)] == [0, 33, 15]
    infos = [moment.info() for moment in found]
    assert [info.continues for info in infos] == [None, *(info.sequence for info in infos[:-1])]
    assert [info.continued for info in infos] == [True] * (len(infos) - 1) + [False]
    assert [info.start_ns for info in infos] == [3 * number * NS for number in range(len(infos))]


@pytest.mark.parametrize("formats", FORMATS)
def test_each_format_in_the_history_becomes_a_moment(formats: str, tmp_path: Path) -> None:
    _, writer = writer_for(tmp_path)
    kept: list[int] = []
    written = writer.write(
        order_of(list(itertools.chain(*restarted_film(formats)))), lambda order: kept.append(order.sequence or 0)
    )
    assert written == moments(tmp_path)[-1]
    assert kept == [written.sequence], "kept means that the newest part is on the disk"
    assert_a_moment_for_each_format(tmp_path, formats)


@pytest.mark.parametrize("formats", FORMATS)
def test_each_format_after_the_press_becomes_a_moment(formats: str, tmp_path: Path) -> None:
    first, *others = restarted_film(formats)
    _, writer = writer_for(tmp_path)
    kept: list[Order] = []
    writer.write(order_of(first[:45], [*first[45:], *itertools.chain(*others)]), kept.append)
    assert len(kept) == 1
    assert_a_moment_for_each_format(tmp_path, formats)


@pytest.mark.parametrize("pressed_at", [60, 90])
def test_each_format_has_its_sound(pressed_at: int, tmp_path: Path) -> None:
    packets = list(itertools.chain(*restarted_film("resize")))
    order = order_of(packets[:pressed_at], packets[pressed_at:], list(SoundCard(-2 * NS).hear(-NS, 6 * NS)))
    _, writer = writer_for(tmp_path)
    writer.write(order, ignore)
    for moment in moments(tmp_path):
        seen, _ = numbers_in(moment.clip)
        assert seen.sound_s == pytest.approx(2, abs=0.05)
        assert moment.info().sound.gaps == ()


def test_what_is_withdrawn_is_deleted_in_each_format(tmp_path: Path) -> None:
    packets = list(itertools.chain(*restarted_film("aba")))
    with recording(tmp_path) as recorder:
        order = order_of(packets[:90], packets[90:])
        recorder._saver.submit(order)
        assert recorder.wait_saved(20)
        assert len(recorder.catalogue.moments()) == 3
        assert recorder._saver.forget([order]).wait(20)
    assert moments(tmp_path) == []


def test_an_older_part_that_cannot_be_written_does_not_take_the_newest_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writes: list[Any] = []

    def fail_once(call: str, _: tuple[Any, ...]) -> None:
        if call == "writev":
            writes.append(call)
            if len(writes) == 2:
                raise OSError(errno.EIO, "injected")

    _, writer = writer_for(tmp_path, HookedDisk(fail_once))
    moment = writer.write(order_of(list(itertools.chain(*restarted_film("resize")))), ignore)
    assert moments(tmp_path) == [moment]
    assert moment.info().width == LARGER.width
    assert moment.info().continues is None
    assert "frames' format changed is not whole" in caplog.text


def test_an_older_part_that_fails_once_it_is_durable_is_known_to_a_hold(tmp_path: Path) -> None:
    failed: list[str] = []

    def fail_once(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "rename" and arguments[1].name == names.INFO and not failed:
            failed.append(call)
            raise OSError(errno.EIO, "injected")

    catalogue, writer = writer_for(tmp_path, HookedDisk(fail_once))
    order = order_of(list(itertools.chain(*restarted_film("resize"))))
    assert writer.write(order, ignore) is not None
    assert [moment.sequence for moment in catalogue.moments()] == [1, 2]
    assert order.sequences == (1, 2)


def test_a_part_after_the_press_that_cannot_be_written_leaves_nothing_of_itself(tmp_path: Path) -> None:
    def fail_the_second(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "create" and "moment-000002" in str(arguments[0]):
            raise OSError(errno.EIO, "injected")

    first, second = restarted_film("resize")
    catalogue, writer = writer_for(tmp_path, HookedDisk(fail_the_second))
    with pytest.raises(StoreError, match="moment 2 could not be kept"):
        writer.write(order_of(first, second), ignore)
    [moment] = moments(tmp_path)
    assert moment.info().continued
    assert numbers_in(moment.clip)[1] == list(range(60))
    assert catalogue.leftovers() == []


def test_the_formats_do_differ() -> None:
    small, faster, larger = film(1)[0], film(1, preset="superfast")[0], film(1, video=LARGER)[0]
    assert len({ParameterSets.find(keyframe) for keyframe in (small, faster, larger)}) == 3
