"""The clip file: ordinary when finished, playable however it is cut before that."""

import struct
from pathlib import Path

import av
import pytest

from missed_moment.clips.growing import GrowingClip
from missed_moment.clips.inspect import inspect_clip
from missed_moment.clips.mp4 import ClipFile, Sample, video_track
from missed_moment.clips.mp4_reader import reopen
from missed_moment.clips.thumbnail import from_clip
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk, SequentialFile
from missed_moment.errors import ClipError
from missed_moment.packets import VideoPacket
from rig import SMALL, HookedDisk, assert_whole, film, numbers_in, turn_of

DISK = LocalDisk()


def append(clip: GrowingClip, packets: list[VideoPacket]) -> None:
    for fragment in clip.fragments(packets):
        clip.write(fragment)


def write(path: Path, seconds: float = 4, finish: bool = True, rotation: int = 0, disk: object = DISK) -> GrowingClip:
    packets = film(seconds)
    clip = GrowingClip(disk, path, packets[0], SMALL, rotation)
    append(clip, packets)
    if finish:
        clip.finish(0)
    clip.close()
    return clip


def boxes(data: bytes) -> list[tuple[bytes, int]]:
    found, position = [], 0
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        found.append((kind, position))
        assert length >= 8
        position += length
    assert position == len(data)
    return found


def test_a_finished_clip_is_an_ordinary_mp4(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4")
    assert [kind for kind, _ in boxes((tmp_path / "clip.mp4").read_bytes())] == [b"ftyp", b"mdat", b"moov"]
    assert assert_whole(tmp_path / "clip.mp4") == list(range(120))


def test_a_growing_clip_is_made_of_fragments(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", finish=False)
    kinds = [kind for kind, _ in boxes((tmp_path / "clip.mp4").read_bytes())]
    assert kinds == [b"ftyp", b"free", b"moov", *[b"moof", b"mdat"] * 4]


def test_times_are_those_of_capture(tmp_path: Path) -> None:
    packets = film(2)
    late = [
        packet if n < 30 else packet._replace(pts_ns=packet.pts_ns + 1_500_000_000) for n, packet in enumerate(packets)
    ]
    clip = GrowingClip(DISK, tmp_path / "clip.mp4", late[0], SMALL, 0)
    append(clip, late)
    clip.finish(0)
    clip.close()
    seen = inspect_clip(tmp_path / "clip.mp4")
    for time_s, packet in zip(seen.times_s, late, strict=True):
        assert abs(time_s - (packet.pts_ns - late[0].pts_ns) / 1e9) < 2e-5
    [gap] = clip.facts()["gaps"]
    assert gap.at_s == pytest.approx(29 / 30, abs=0.01)
    assert gap.length_s == pytest.approx(1.5 + 1 / 30, abs=0.01)


def test_a_clock_that_steps_back_does_not_make_a_file_unreadable(tmp_path: Path) -> None:
    packets = film(2)
    stepped = [packet._replace(pts_ns=packet.pts_ns - (NS if n >= 45 else 0)) for n, packet in enumerate(packets)]
    clip = GrowingClip(DISK, tmp_path / "clip.mp4", stepped[0], SMALL, 0)
    append(clip, stepped)
    clip.finish(0)
    clip.close()
    assert assert_whole(tmp_path / "clip.mp4") == list(range(60))


def test_the_only_write_that_is_not_an_append_is_eight_bytes_in_one_sector(tmp_path: Path) -> None:
    """And it comes after everything else was synced, and is synced itself."""
    calls: list[tuple[str, tuple[object, ...]]] = []
    write(tmp_path / "clip.mp4", disk=HookedDisk(lambda name, arguments: calls.append((name, arguments))))
    names = [name for name, _ in calls]
    assert names.count("pwrite") == 1
    assert names[-4:] == ["sync", "pwrite", "sync", "close"]
    _, (_, data, offset) = calls[names.index("pwrite")]
    assert len(data) == 8
    assert offset // 512 == (offset + 7) // 512


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_told_to_the_player(tmp_path: Path, rotation: int) -> None:
    write(tmp_path / "clip.mp4", seconds=1, rotation=rotation)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        frame = next(container.decode(video=0))
    assert -frame.rotation % 360 == rotation
    (tmp_path / "thumbnail.jpg").write_bytes(from_clip(tmp_path / "clip.mp4"))
    assert turn_of(tmp_path / "thumbnail.jpg", tmp_path / "clip.mp4") == rotation


def test_cut_anywhere_the_whole_fragments_play_and_are_finished_in_place(tmp_path: Path) -> None:
    write(tmp_path / "whole.mp4", finish=False)
    data = (tmp_path / "whole.mp4").read_bytes()
    ends = [*[position for kind, position in boxes(data) if kind == b"moof"][1:], len(data)]
    cuts = [
        *range(0, len(data), 997),
        *(end + delta for end in ends for delta in (-1, 0, 1) if end + delta <= len(data)),
    ]
    for cut in cuts:
        path = tmp_path / f"cut-{cut}.mp4"
        path.write_bytes(data[:cut])
        fragments = sum(end <= cut for end in ends)
        if not fragments:
            with pytest.raises(ClipError):
                reopen(DISK, path)
            continue
        clip = reopen(DISK, path)
        assert clip is not None
        clip.finish()
        clip.close()
        assert [kind for kind, _ in boxes(path.read_bytes())] == [b"ftyp", b"mdat", b"moov"]
        assert inspect_clip(path).pictures == 30 * fragments
        path.unlink()


def test_cut_while_it_was_being_finished_it_is_finished_again(tmp_path: Path) -> None:
    write(tmp_path / "growing.mp4", finish=False)
    write(tmp_path / "finished.mp4")
    growing, finished = (tmp_path / "growing.mp4").read_bytes(), (tmp_path / "finished.mp4").read_bytes()
    for cut in (len(growing) + 1, len(growing) + 8, (len(growing) + len(finished)) // 2, len(finished)):
        path = tmp_path / "cut.mp4"
        path.write_bytes(growing + finished[len(growing) : cut])  # `moov` is being appended, `free` not patched yet
        clip = reopen(DISK, path)
        assert clip is not None
        clip.finish()
        clip.close()
        assert path.read_bytes() == finished
    assert reopen(DISK, tmp_path / "finished.mp4") is None


def test_recovered_times_and_keyframes_are_those_that_were_written(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip.mp4", finish=False)
    reopened = reopen(DISK, tmp_path / "clip.mp4")
    assert reopened is not None
    assert reopened.tracks[0].samples == clip._track.samples
    assert reopened.tracks[0].chunks == clip._track.chunks
    reopened.close()


@pytest.mark.parametrize(
    "damage", [b"", b"not an mp4", bytes(4096), b"\xff" * 4096, b"\0\0\0\x14ftypisom\0\0\x02\0isom\0\0\0\x08free"]
)
def test_what_is_no_clip_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(damage)
    with pytest.raises(ClipError):
        reopen(DISK, tmp_path / "clip.mp4")
    with pytest.raises(ClipError):
        inspect_clip(tmp_path / "clip.mp4")


def test_nonsense_inside_whole_boxes_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", seconds=1, finish=False)
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    at = data.index(b"traf")
    data[at - 4 : at] = b"\xff\xff\xff\xff"
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(ClipError):
        reopen(DISK, tmp_path / "clip.mp4")


def test_a_clip_beyond_four_gigabytes_is_refused_and_not_damaged(tmp_path: Path) -> None:
    file = SequentialFile.create(DISK, tmp_path / "clip.mp4")
    track = video_track(b"", 16, 16, 30)
    clip = ClipFile.create(file, [track])
    clip.append([(track, [Sample([b"x"], 0)])])
    file.position = clip._end = 2**32 - 10
    with pytest.raises(ClipError, match="4 GiB"):
        clip.append([(track, [Sample([b"x"], 3000)])])
    clip.close()


def test_a_damaged_clip_does_not_pass_inspection(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4")
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    at = data.rindex(b"avcC") + 12  # the last one is the finished `moov`'s
    data[at : at + 6] = b"\xff" * 6
    (tmp_path / "clip.mp4").write_bytes(data)
    with pytest.raises(ClipError):
        numbers_in(tmp_path / "clip.mp4")


@pytest.mark.parametrize("hours", [14, 10**6])
def test_times_longer_than_the_fields_are_refused_and_the_clip_ends_before_them(tmp_path: Path, hours: int) -> None:
    packets = film(2)
    late = [
        packet._replace(pts_ns=packet.pts_ns + (hours * 3600 * NS if n >= 30 else 0))
        for n, packet in enumerate(packets)
    ]
    clip = GrowingClip(DISK, tmp_path / "clip.mp4", late[0], SMALL, 0)
    with pytest.raises(ClipError, match="hours long"):
        append(clip, late)
    clip.finish(0)
    clip.close()
    assert assert_whole(tmp_path / "clip.mp4") == list(range(30))
