"""Whether a clip is in sync, from the file alone: flashes, claps, and what cannot be measured."""

from pathlib import Path

import av
import numpy as np
import pytest

from missed_moment import checkup, sync
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.clips.growing import GrowingClip
from missed_moment.clips.soundtrack import Soundtrack
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from missed_moment.packets import SAMPLE_RATE, PcmBlock, VideoPacket
from rig import film
from sound_rig import PERIOD, SEEN, SoundCard, flashing_film, offsets_ms

CLAPS_S = (1.1, 2.23, 3.37, 4.5, 5.61)


def write(path: Path, film: list[VideoPacket], blocks: list[PcmBlock], offset_ms: float = 0) -> Path:
    clip = GrowingClip(LocalDisk(), path, film[0], SEEN, sound=Soundtrack(film[0].pts_ns, offset_ms))
    for fragment in (*clip.fragments([*blocks, *film]), *clip.ending()):
        clip.write(fragment)
    clip.finish(0)
    clip.close()
    return path


def clapping_film() -> list[VideoPacket]:
    """Two hands in front of a wall: they part slowly, and come together within a tenth of a second."""
    encoder = SoftwareEncoder(SEEN, 1_000_000)
    planes = np.full((SEEN.height * 3 // 2, SEEN.width), 128, dtype=np.uint8)
    wall = np.random.default_rng(0).integers(60, 90, (SEEN.height, SEEN.width))
    packets: list[VideoPacket] = []
    for number in range(SEEN.fps * 7):
        now_s = number / SEEN.fps
        wait_s = min((at - now_s for at in CLAPS_S if at >= now_s), default=1.0)
        apart = round(min(1.0, wait_s / 0.1) ** 2 * 60)
        planes[: SEEN.height] = wall
        for middle in (SEEN.width // 2 - 15 - apart, SEEN.width // 2 + 15 + apart):
            planes[40:100, middle - 15 : middle + 15] = 200
        packets += encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"), round(number * NS / SEEN.fps))
    return packets


def clapping_sound(late_s: float = 0) -> list[PcmBlock]:
    sound = np.random.default_rng(1).normal(0, 30, 7 * SAMPLE_RATE)
    for at in CLAPS_S:
        begin = round((at + late_s) * SAMPLE_RATE)
        burst = np.arange(SAMPLE_RATE // 20)
        sound[begin : begin + len(burst)] += 12_000 * np.exp(-burst / 400) * np.sin(burst * 0.2)
    data = sound.astype("<i2")
    return [
        PcmBlock(data[begin : begin + PERIOD].tobytes(), begin * NS // SAMPLE_RATE, begin)
        for begin in range(0, len(data), PERIOD)
    ]


def test_claps_are_measured_to_about_a_picture(tmp_path: Path) -> None:
    measured = sync.measure(write(tmp_path / "clip.mp4", clapping_film(), clapping_sound()))
    assert len(measured) == len(CLAPS_S)
    assert np.abs(measured).max() < 1.5 / SEEN.fps


@pytest.mark.parametrize("late_ms", [-150, 90])
def test_the_setting_that_would_be_right_is_said(late_ms: float, tmp_path: Path) -> None:
    clip = write(tmp_path / "clip.mp4", clapping_film(), clapping_sound(late_ms / 1000))
    settings = tmp_path / "s.toml"
    settings.write_text("[sound]\noffset_ms = 10\n")
    [finding] = checkup.sync_checkup([clip], settings, tmp_path)
    assert not finding.good
    right = float(finding.text.rsplit("=", 1)[1])
    assert right == pytest.approx(10 - late_ms, abs=1000 / SEEN.fps)


def test_flashes_are_measured_exactly(tmp_path: Path) -> None:
    start_ns = 500 * NS + 777_000_000
    blocks = list(SoundCard(start_ns - NS).hear(0, start_ns + 6 * NS))
    clip = write(tmp_path / "clip.mp4", flashing_film(start_ns, 6), blocks)
    [finding] = checkup.sync_checkup([clip], tmp_path / "none", tmp_path)
    assert finding.good, finding
    assert "6 claps" in finding.text


@pytest.mark.parametrize("before_first_flash_ms", [-20, -5, 1, 20, 40])
def test_a_flash_at_the_edge_of_a_clip_is_not_measured_wrongly(before_first_flash_ms: int, tmp_path: Path) -> None:
    start_ns = 500 * NS - before_first_flash_ms * 1_000_000
    blocks = list(SoundCard(start_ns - NS).hear(0, start_ns + 3 * NS))
    apart_ms = offsets_ms(write(tmp_path / "clip.mp4", flashing_film(start_ns, 3), blocks))
    assert len(apart_ms) >= 2
    assert max(map(abs, apart_ms)) < 2


def test_a_clip_without_claps_says_what_to_do(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip.mp4", film(3), clapping_sound())
    [finding] = checkup.sync_checkup([clip], tmp_path / "none", tmp_path)
    assert not finding.good
    assert "clap near the camera" in finding.text


def test_a_clip_without_sound_is_said(tmp_path: Path) -> None:
    pictures = film(2)
    clip = GrowingClip(LocalDisk(), tmp_path / "clip.mp4", pictures[0], SEEN)
    for fragment in clip.fragments(pictures):
        clip.write(fragment)
    clip.finish(0)
    clip.close()
    [finding] = checkup.sync_checkup([tmp_path / "clip.mp4"], tmp_path / "none", tmp_path)
    assert "has no sound" in finding.text
    [finding] = checkup.sync_checkup([], tmp_path / "none", tmp_path)
    assert "no moments" in finding.text
