"""Whatever a card makes of a moment that was kept: what is whole is recovered and plays, and nothing is deleted.

MISSED_MOMENT_DAMAGES sets how many damages are tried; `make prove` tries 5,000.
"""

import errno
import functools
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import av
import pytest
from av.error import FFmpegError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from missed_moment.capture.painting import read_number
from missed_moment.clips import names, recovery
from missed_moment.clips.catalogue import Catalogue, MomentInfo
from missed_moment.clips.growing import GrowingClip, facts
from missed_moment.clips.mp4 import BRAND
from missed_moment.clips.recovery import recover
from missed_moment.clips.soundtrack import Soundtrack
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from rig import FailingDisk, assert_whole
from sound_rig import SEEN, SoundCard, flashing_film, offsets_ms

DAMAGES = int(os.environ.get("MISSED_MOMENT_DAMAGES", "60"))
SECONDS, START_NS = 4, 7 * NS + 350_000_000
GOP = round(SEEN.fps)


@functools.cache
def written(sound: bool, finished: bool) -> tuple[bytes, MomentInfo]:
    """Return a clip of at least four fragments as a power cut leaves it, and its description."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / names.CLIP
        film = flashing_film(START_NS, SECONDS)
        clip = GrowingClip(LocalDisk(), path, film[0], SEEN, sound=Soundtrack(START_NS, 0) if sound else None)
        blocks = list(SoundCard(START_NS - 2 * NS).hear(START_NS - NS, START_NS + (SECONDS + 1) * NS))
        for fragment in [*clip.fragments([*(blocks if sound else []), *film]), *clip.ending()]:
            clip.write(fragment)
        if finished:
            clip.finish(0)
        clip.close()
        info = MomentInfo(
            sequence=1, device="test", version="", boot_id="", start_ns=START_NS, presses_ns=(), clock_certain=False,
            start="2026-01-01T00:00:00Z", sound=clip.sound_info(), **facts(clip._track),
        )  # fmt: skip
        return path.read_bytes(), info


def fragments_of(data: bytes) -> list[int]:
    """Where fragments begin, and where the last one ends."""
    begins, position = [], data.index(b"moof") - 4
    while data[position + 4 : position + 8] == b"moof":
        begins.append(position)
        position += int.from_bytes(data[position : position + 4], "big")
        position += int.from_bytes(data[position : position + 4], "big")
    return [*begins, position]


def left_over(store: Path, data: bytes, info: MomentInfo | None) -> Catalogue:
    catalogue = Catalogue(store, LocalDisk())
    catalogue.prepare()
    _, incoming = catalogue.begin()
    (incoming / names.CLIP).write_bytes(data)
    if info:
        catalogue.write_info(incoming, info)
    return catalogue


def played(clip: Path) -> tuple[list[int | None], int]:
    """Play a clip as players do, skipping what cannot be decoded; return frame numbers and samples of sound."""
    numbers: list[int | None] = []
    heard = 0
    with av.open(str(clip)) as container:
        for packet in container.demux():
            with suppress(FFmpegError):
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        numbers.append(read_number(frame.reformat(format="gray").to_ndarray()))
                    else:
                        heard += frame.samples
    return numbers, heard


Damage = tuple[str, float, int]
"""Kind, where (as a share of the file), and how much: a bit of a byte, or a number of bytes."""
FLIPS = st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
ZEROS = st.tuples(st.just("zeros"), st.floats(0, 1, exclude_max=True), st.integers(1, 20_000))
CUTS = st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True), st.just(0))


def damaged(data: bytes, damages: list[Damage]) -> tuple[bytes, int]:
    """Return what is left of a file, and where the first damage is."""
    held, first = bytearray(data), len(data)
    for kind, share, amount in damages:
        at = int(share * len(data))
        if kind == "flip" and at < len(held):
            held[at] ^= 1 << amount
        elif kind == "zeros":
            held[at : at + amount] = bytes(len(held[at : at + amount]))
        elif kind == "cut":
            del held[at:]
        first = min(first, at)
    return bytes(held), first


@pytest.mark.timeout(60 + DAMAGES)
@settings(max_examples=DAMAGES, suppress_health_check=[HealthCheck.too_slow])
@given(st.booleans(), st.booleans(), st.lists(FLIPS | ZEROS | CUTS, min_size=1, max_size=3))
@example(sound=False, finished=False, damages=[("zeros", 0.0, 20_000)])
@example(sound=False, finished=False, damages=[("zeros", 0.005, 107)])
@example(sound=True, finished=True, damages=[("flip", 0.9999, 0)])
def test_whatever_is_damaged_the_fragments_before_it_are_recovered_and_play(
    sound: bool, finished: bool, damages: list[Damage]
) -> None:
    whole, info = written(sound, finished)
    data, first = damaged(whole, damages)
    with tempfile.TemporaryDirectory() as directory:
        catalogue = left_over(Path(directory), data, info)
        reports: list[str] = []
        recover(catalogue, "test", reports.append)
        assert catalogue.leftovers() == []
        moments = catalogue.moments()
        ends = fragments_of(whole)[1:]
        good = sum(end <= first for end in ends)
        if not moments:
            assert (Path(directory) / names.DAMAGED / "moment-000001" / names.INFO).exists()
            assert len(reports) == 1
            assert good == 0
            return
        [moment] = moments
        numbers, _ = played(moment.clip)
        assert numbers[: min(good, SECONDS) * GOP] == list(range(min(good, SECONDS) * GOP))
        assert numbers
        assert moment.info().sequence == 1


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("sound", [False, True])
@pytest.mark.parametrize("box", [b"moof", b"mdat", b"traf", b"tfhd", b"trun", b"tfdt"])
@pytest.mark.parametrize("number", [0, 2])
def test_a_damaged_fragment_costs_only_itself(
    tmp_path: Path, number: int, box: bytes, sound: bool, finished: bool
) -> None:
    whole, info = written(sound, finished)
    data, begin = bytearray(whole), fragments_of(whole)[number]
    at = data.index(box, begin)
    data[at - 4 : at + 8] = b"\xff" * 12
    catalogue = left_over(tmp_path, bytes(data), info)
    [moment] = recover(catalogue, "test")
    numbers, heard = played(moment.clip)
    assert numbers == [n for n in range(SECONDS * GOP) if n // GOP != number]
    assert moment.info().recovered
    assert moment.info().pictures == len(numbers)
    if sound:
        assert heard / 48_000 == pytest.approx(SECONDS - 1, abs=0.1)
        offsets = offsets_ms(moment.clip)
        assert len(offsets) >= SECONDS - 2
        assert offsets == pytest.approx([0] * len(offsets), abs=5)


def test_a_damaged_head_of_eight_bytes_is_written_anew(tmp_path: Path) -> None:
    whole, info = written(False, False)
    catalogue = left_over(tmp_path, bytes(len(BRAND) + 8) + whole[len(BRAND) + 8 :], info)
    [moment] = recover(catalogue, "test")
    assert assert_whole(moment.clip) == list(range(SECONDS * GOP))


def test_a_moment_whose_head_is_damaged_is_set_aside_and_its_number_is_not_given_again(tmp_path: Path) -> None:
    whole, info = written(False, False)
    catalogue = left_over(tmp_path, whole.replace(b"avcC", b"avcX").replace(b"mdia", b"xxxx"), info)
    reports: list[str] = []
    assert recover(catalogue, "test", reports.append) == []
    aside = tmp_path / names.DAMAGED / "moment-000001"
    assert str(aside) in reports[0]
    assert (aside / names.CLIP).stat().st_size == len(whole)
    assert recover(catalogue, "test", reports.append) == []
    assert len(reports) == 1
    assert catalogue.begin()[0] == 2


def test_what_was_kept_is_not_deleted_without_its_description_either(tmp_path: Path) -> None:
    whole, _ = written(False, False)
    catalogue = left_over(tmp_path, whole.replace(b"mdia", b"xxxx"), None)
    assert recover(catalogue, "test") == []
    assert (tmp_path / names.DAMAGED / "moment-000001" / names.CLIP).exists()


@pytest.mark.parametrize("error", [OSError(errno.EIO, "injected"), RuntimeError("a bug"), MemoryError()])
def test_one_bad_leftover_stops_neither_the_others_nor_the_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    whole, info = written(False, False)
    catalogue = left_over(tmp_path, whole, info)
    left_over(tmp_path, whole, info)
    reopen = recovery.reopen

    def fails_once(disk: LocalDisk, path: Path, finished_too: bool) -> object:
        if path.parent.name == "moment-000001":
            raise error
        return reopen(disk, path, finished_too)

    monkeypatch.setattr(recovery, "reopen", fails_once)
    reports: list[str] = []
    [moment] = recover(catalogue, "test", reports.append)
    assert moment.sequence == 2
    assert "moment-000001" in reports[0]
    assert [*catalogue.leftovers(), *(tmp_path / names.DAMAGED).glob("*")]


def test_where_it_cannot_even_be_moved_it_stays(tmp_path: Path) -> None:
    whole, info = written(False, False)
    left_over(tmp_path, whole.replace(b"mdia", b"xxxx"), info)
    catalogue = Catalogue(tmp_path, FailingDisk("rename", errno.EROFS))
    reports: list[str] = []
    assert recover(catalogue, "test", reports.append) == []
    assert len(reports) == len(catalogue.leftovers()) == 1
