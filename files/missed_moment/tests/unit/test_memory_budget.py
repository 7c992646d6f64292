"""How much memory settings need, and what of them fits a board."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.clock import NS
from missed_moment.config import Loaded, MomentSettings, Settings, VideoSettings, parse
from missed_moment.memory_budget import (
    BACKLOG_RINGS,
    MIN_BACKLOG_RINGS,
    backlog_rings,
    fit,
    needed_bytes,
    ring_size,
)
from missed_moment.ring import RingState
from missed_moment.services.presses import UNDECIDED_NS

MIB = 1024 * 1024
ZERO_2_W = 416 * MIB
"""MemTotal of a Raspberry Pi Zero 2 W: 512 MB without what the firmware keeps for itself."""


def asking(before_s: int, mbps: float, width: int = 1280, height: int = 720) -> Loaded:
    return parse(
        f"[moment]\nbefore_s = {before_s}\n[video]\nbitrate_mbps = {mbps}\nwidth = {width}\nheight = {height}\n"
    )


def test_what_a_press_takes_has_room_until_it_is_decided() -> None:
    """A ring may be held whole while what is filmed until then comes to it."""
    shortest = min(ring_size(asking(before_s, 6).settings).seconds for before_s in (5, 60, 300))
    assert (MIN_BACKLOG_RINGS - 1) * shortest >= UNDECIDED_NS / NS


def test_the_defaults_fit_the_smallest_board() -> None:
    assert fit(Loaded(), ZERO_2_W) == Loaded()
    assert backlog_rings(Settings(), ZERO_2_W) > MIN_BACKLOG_RINGS


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (1920, 1440)])
def test_every_size_fits_the_smallest_board_at_the_default_bit_rate(width: int, height: int) -> None:
    loaded = Loaded(Settings(video=VideoSettings(width=1920 if width == 1920 else width, height=height)))
    assert fit(loaded, ZERO_2_W) == loaded


@pytest.mark.parametrize(
    ("before_s", "mbps", "used"),
    [
        (300, 25, "before_s = 60 and bitrate_mbps = 7.5 are used"),
        (300, 6, "before_s = 76 and bitrate_mbps = 6 are used"),
        (60, 12, "before_s = 60 and bitrate_mbps = 7.5 are used"),
        (20, 25, "before_s = 20 and bitrate_mbps = 18.2 are used"),
        (300, 0.5, None),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_need_memory_and_what_is_used(
    before_s: int, mbps: float, used: str | None
) -> None:
    loaded = asking(before_s, mbps)
    fitted = fit(loaded, ZERO_2_W)
    assert needed_bytes(fitted.settings) <= ZERO_2_W
    if used is None:
        assert fitted == loaded
        return
    [problem] = fitted.problems
    assert f"before_s = {before_s} " in problem
    assert f"bitrate_mbps = {mbps:g} " in problem
    assert f"{needed_bytes(loaded.settings) / 1e6:.0f} MB" in problem
    assert "436 MB" in problem
    assert problem.endswith(used)
    assert "\n" not in problem


def test_it_is_one_more_line_beside_those_of_the_file() -> None:
    loaded = parse("[video]\nbitrate_mbps = 25\nwidht = 640\n")
    assert fit(loaded, ZERO_2_W).problems[:-1] == loaded.problems


def test_where_the_memory_is_unknown_nothing_is_refused() -> None:
    loaded = asking(300, 25)
    assert fit(loaded, None) is loaded
    assert backlog_rings(loaded.settings, None) == BACKLOG_RINGS


def test_a_large_board_takes_all_that_is_valid() -> None:
    loaded = asking(300, 25)
    assert fit(loaded, 3700 * MIB) is loaded
    assert backlog_rings(Settings(), 3700 * MIB) == BACKLOG_RINGS


@pytest.mark.parametrize(
    ("seconds", "share", "overshoot"), [(70, 0.6, 1), (70, 1, 1), (20, 1, 3.5), (0.5, 0.5, 1), (0, 0, 1)]
)
def test_an_encoder_overshoots_if_a_second_has_more_than_the_bound(
    seconds: float, share: float, overshoot: float
) -> None:
    size = ring_size(Settings())
    ring = RingState(seconds, round(size.max_bytes * share), 1, 0)
    assert size.overshoot(ring) == pytest.approx(overshoot)


settings_of = st.builds(
    lambda before_s, mbps, height: Settings(
        moment=MomentSettings(before_s=before_s), video=VideoSettings(bitrate_mbps=mbps, height=height)
    ),
    st.integers(5, 300),
    st.floats(0.5, 25),
    st.sampled_from([120, 720, 1440]),
)


@given(settings_of, st.integers(ZERO_2_W, 8192 * MIB))
def test_what_is_used_fits_with_its_backlog_and_is_no_more_than_was_asked_for(asked: Settings, memory: int) -> None:
    used = fit(Loaded(asked), memory).settings
    assert needed_bytes(used) <= memory
    assert used.moment.before_s <= asked.moment.before_s
    assert used.video.bitrate_mbps <= asked.video.bitrate_mbps
    assert Settings.model_validate(used.model_dump()) == used
    fixed = needed_bytes(used) - MIN_BACKLOG_RINGS * ring_size(used).max_bytes
    assert fixed + backlog_rings(used, memory) * ring_size(used).max_bytes <= memory + 1


@given(settings_of, st.integers(0, ZERO_2_W))
def test_on_a_board_that_is_too_small_for_anything_it_films_all_the_same(asked: Settings, memory: int) -> None:
    fitted = fit(Loaded(asked), memory)
    assert Settings.model_validate(fitted.settings.model_dump()) == fitted.settings
    assert len(fitted.problems) == (needed_bytes(asked) > memory)
