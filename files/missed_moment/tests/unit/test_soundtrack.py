"""Blocks in, a track out: where each sound lies in a finished clip, and what stands where there was none."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from av.error import InvalidDataError

from missed_moment import sync
from missed_moment.clips.aac import FRAME, PRIMING, AacEncoder
from missed_moment.clips.growing import GrowingClip
from missed_moment.clips.mp4_reader import reopen
from missed_moment.clips.soundtrack import FADE, Soundtrack
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from missed_moment.packets import SAMPLE_RATE, Packet, PcmBlock
from sound_rig import SEEN, SoundCard, flashing_film, jitter, offsets_ms

START_NS = 1000 * NS + 123_456_789
SECONDS = 8
TRUE = 1.5
"""Milliseconds by which a measured offset may be off: what decoding and the camera's exposures leave."""


def arrivals(*streams: Sequence[Packet]) -> Iterator[tuple[int, Packet]]:
    """Yield when each packet can have come at the latest, and the packet: they are told late, and come in order."""
    for stream in streams:
        times = np.array([packet.pts_ns for packet in stream], dtype=np.int64)
        yield from zip(np.minimum.accumulate(times[::-1])[::-1].tolist(), stream, strict=True)


def clip_of(
    path: Path, blocks: Iterable[PcmBlock], offset_ms: float = 0, finish: bool = True, live_s: int = 3
) -> GrowingClip:
    """Write a clip: pictures of `SECONDS`, the last of them as they would come after a press."""
    film = flashing_film(START_NS, SECONDS)
    clip = GrowingClip(LocalDisk(), path, film[0], SEEN, sound=Soundtrack(START_NS, offset_ms))
    press_ns = START_NS + (SECONDS - live_s) * NS
    batches: list[list[Packet]] = [[] for _ in range(live_s + 1)]
    for at_ns, packet in arrivals(film, list(blocks)):
        batches[max(0, min(live_s, 1 + (at_ns - press_ns) // NS))].append(packet)
    for batch in batches:
        for fragment in clip.fragments(batch):
            clip.write(fragment)
    if finish:
        for fragment in clip.ending():
            clip.write(fragment)
        clip.finish(0)
    clip.close()
    return clip


def heard(ppm: float = 0, seed: int | None = None, until_s: float = SECONDS) -> list[PcmBlock]:
    card = SoundCard(START_NS - 400 * NS, ppm, jitter(seed) if seed is not None else lambda _: 0)
    return list(card.hear(START_NS - NS, START_NS + round(until_s * NS)))


@pytest.mark.parametrize("ppm", [0, 200, -200])
@pytest.mark.parametrize("seed", [None, 1])
def test_sound_lies_where_it_was_captured(ppm: float, seed: int | None, tmp_path: Path) -> None:
    clip_of(tmp_path / "clip.mp4", heard(ppm, seed))
    offsets = offsets_ms(tmp_path / "clip.mp4")
    assert len(offsets) == SECONDS
    assert offsets == pytest.approx([0] * SECONDS, abs=TRUE)


@pytest.mark.parametrize("offset_ms", [120, -80])
def test_a_microphone_is_calibrated(offset_ms: float, tmp_path: Path) -> None:
    clip_of(tmp_path / "clip.mp4", heard(), offset_ms)
    offsets = offsets_ms(tmp_path / "clip.mp4")
    assert len(offsets) >= SECONDS - 1
    assert offsets == pytest.approx([offset_ms] * len(offsets), abs=TRUE)


def test_both_tracks_begin_at_zero_and_end_together(tmp_path: Path) -> None:
    clip_of(tmp_path / "clip.mp4", heard())
    with av.open(str(tmp_path / "clip.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (audio.codec_context.name, audio.rate, audio.codec_context.channels) == ("aac", SAMPLE_RATE, 1)
        assert audio.codec_context.profile == "LC"
        lengths = [float(stream.duration * stream.time_base) for stream in (video, audio)]
    seen = sync.decode(tmp_path / "clip.mp4")
    assert seen.sound_s == seen.times_s[0] == 0
    assert lengths == pytest.approx([SECONDS, SECONDS + PRIMING / SAMPLE_RATE], abs=FRAME / SAMPLE_RATE)
    assert len(seen.sound) / SAMPLE_RATE == pytest.approx(SECONDS, abs=FRAME / SAMPLE_RATE)


def test_silence_is_as_long_as_the_gap(tmp_path: Path) -> None:
    blocks = heard()
    begin, end = 150, 250  # blocks of 20 ms; the clip begins 50 blocks after the first of them
    lost = [*blocks[:begin], *(block._replace(first_sample=block.first_sample + 7) for block in blocks[end:])]
    clip = clip_of(tmp_path / "clip.mp4", lost)
    seen = sync.decode(tmp_path / "clip.mp4")
    gap = slice(*(round(((at - 50) / 50 + late) * SAMPLE_RATE) for at, late in ((begin, 0.03), (end, -0.03))))
    assert np.abs(seen.sound[gap]).max() < 0.002
    offsets = offsets_ms(tmp_path / "clip.mp4")
    assert len(offsets) == SECONDS - 2
    assert offsets == pytest.approx([0] * len(offsets), abs=TRUE)
    [noted] = clip.sound_info().gaps
    assert noted.at_s == pytest.approx((begin - 50) / 50, abs=0.025)
    assert noted.length_s == pytest.approx((end - begin) / 50, abs=0.01)


def test_a_microphone_that_was_plugged_in_again_is_placed_anew(tmp_path: Path) -> None:
    before = heard(200, until_s=2)
    again = SoundCard(START_NS + 4 * NS + 333, -200, jitter(3))
    clip_of(tmp_path / "clip.mp4", [*before, *again.hear(0, START_NS + SECONDS * NS)])
    offsets = offsets_ms(tmp_path / "clip.mp4")
    assert len(offsets) == SECONDS - 2
    assert offsets == pytest.approx([0] * len(offsets), abs=TRUE)


def test_a_clip_of_a_microphone_that_is_silent_is_silent(tmp_path: Path) -> None:
    clip = clip_of(tmp_path / "clip.mp4", [])
    assert not sync.decode(tmp_path / "clip.mp4").sound.any()
    assert clip.sound_info().gaps[0].length_s == pytest.approx(SECONDS, abs=0.1)
    assert clip.sound_info().card_ppm is None


def tone(blocks: list[PcmBlock]) -> list[PcmBlock]:
    """The same blocks with a loud tone in them, which has no beginning and no end."""
    return [
        block._replace(
            data=(20_000 * np.sin((block.first_sample + np.arange(block.samples)) * 0.05)).astype("<i2").tobytes()
        )
        for block in blocks
    ]


def test_nothing_clicks_where_sound_begins_or_ends(tmp_path: Path) -> None:
    blocks = tone(heard())
    lost = [*blocks[:200], *(block._replace(first_sample=block.first_sample + 7) for block in blocks[250:])]
    clip_of(tmp_path / "clip.mp4", lost)
    sound = sync.decode(tmp_path / "clip.mp4").sound
    assert np.abs(sound).max() > 0.5
    steps = np.abs(np.diff(sound))
    assert steps.max() < 0.05  # the tone's own steps are 0.03; a click is as high as the tone is loud
    assert np.abs(sound[: FADE // 10]).max() < 0.1


def test_a_tone_stays_clean_whatever_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read between the samples: not a thousandth of a thousandth of its power is anything but the tone."""
    rendered: list[np.ndarray] = []
    encode = AacEncoder.encode

    def overheard(self: AacEncoder, samples: np.ndarray) -> list[bytes]:
        rendered.append(samples)
        return encode(self, samples)

    monkeypatch.setattr(AacEncoder, "encode", overheard)
    clip_of(tmp_path / "clip.mp4", tone(heard(ppm=200, seed=5)))
    sound = np.concatenate(rendered)[SAMPLE_RATE : 5 * SAMPLE_RATE]
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    peak = int(np.argmax(power))
    own = power[peak - 60 : peak + 60].sum()  # 15 Hz to each side
    assert (power.sum() - own) / own < 1e-6


def pictures_up_to_the_cut(path: Path) -> int:
    """Play a clip as players do, for which a last packet of half its length is the end."""
    pictures = 0
    with av.open(str(path)) as container, suppress(InvalidDataError):
        for frame in container.decode(video=0, audio=0):
            pictures += isinstance(frame, av.VideoFrame)
    return pictures


def test_a_clip_that_was_cut_is_finished_with_its_sound(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    clip_of(path, heard(), finish=False)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)
    assert pictures_up_to_the_cut(path) >= (SECONDS - 2) * SEEN.fps  # as it is, too
    clip = reopen(LocalDisk(), path)
    clip.finish()
    clip.close()
    offsets = offsets_ms(path)
    assert len(offsets) >= SECONDS - 2
    assert offsets == pytest.approx([0] * len(offsets), abs=TRUE)


def test_a_long_moment_does_not_drift(tmp_path: Path) -> None:
    """Two minutes that began with two seconds of history: the timeline gets better as it goes, and is followed."""
    film = flashing_film(START_NS, 10)
    sound = Soundtrack(START_NS, 0)
    card = SoundCard(START_NS - 2 * NS, 300, jitter(11))
    clip = GrowingClip(LocalDisk(), tmp_path / "clip.mp4", film[0], SEEN, sound=sound)
    for turn in range(12):
        begin_ns = START_NS + turn * 10 * NS
        pictures = [packet._replace(pts_ns=packet.pts_ns + turn * 10 * NS) for packet in film]
        blocks = card.hear(begin_ns - (2 * NS if turn == 0 else 0), begin_ns + 10 * NS)
        for second in range(10):
            upper_ns = begin_ns + (second + 1) * NS
            some = [next(blocks) for _ in range(150 if turn == second == 0 else 50)]
            gop = [packet for packet in pictures if upper_ns - NS <= packet.pts_ns < upper_ns]
            for fragment in clip.fragments([*some, *gop]):
                clip.write(fragment)
    for fragment in clip.ending():
        clip.write(fragment)
    clip.finish(0)
    clip.close()
    offsets = offsets_ms(tmp_path / "clip.mp4")
    assert len(offsets) >= 118
    assert np.abs(offsets).max() < 5
    assert np.abs(offsets[20:]).max() < TRUE
