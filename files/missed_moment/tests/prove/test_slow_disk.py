"""On a real disk that is slow, or stands still, no picture is lost and every press becomes a moment."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import slow_disk
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.health import Fault
from rig import SMALL_SETTINGS, assert_whole, recording, wait_for
from slow_disk import SlowDisk

pytestmark = pytest.mark.skipif(bool(slow_disk.missing()), reason=slow_disk.missing() or "")

# As much as the small picture can be: a save of 20 s takes a throttled disk longer than its post-roll.
VIDEO = SMALL_SETTINGS.model_copy(update={"bitrate_mbps": 2.0})
SLOW = 100_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SlowDisk]:
    with slow_disk.slow_disk(tmp_path) as disk:
        yield disk


def stored(store: Path) -> list[list[int]]:
    return [assert_whole(moment.clip) for moment in Catalogue(store, LocalDisk()).moments()]


def test_a_press_a_second_on_a_slow_disk(disk: SlowDisk) -> None:
    store = disk.mount / "clips"
    with recording(store, camera=SyntheticCamera(VIDEO), before_s=10, after_s=0.2) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 10)
        disk.slow_down(SLOW)
        seen = []
        for _ in range(10):
            seen.append(recorder.status().frames.seen)
            recorder.press()
            threading.Event().wait(1)
        assert recorder.wait_saved(120)
        assert recorder.status().frames.lost == 0
        assert recorder.health.faults() == {}
    clips = stored(store)
    assert len(clips) == 10
    for pressed_at, numbers in zip(seen, clips, strict=True):
        assert numbers[0] <= pressed_at - 10 * 30 + 2
        assert numbers[-1] >= pressed_at


@pytest.mark.timeout(180)
def test_presses_while_the_disk_stands_still_for_thirty_seconds(disk: SlowDisk) -> None:
    store = disk.mount / "clips"
    with recording(store, camera=SyntheticCamera(VIDEO), before_s=10, after_s=1) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 10)
        with disk.stopped():
            for _ in range(3):
                recorder.press()
                threading.Event().wait(10)
            assert "has not answered" in recorder.health.faults()[Fault.SAVE_FAILED]
            assert recorder.status().frames.lost == 0
        assert recorder.wait_saved(60)
        assert recorder.health.faults() == {}
    assert [len(numbers) >= 11 * 30 for numbers in stored(store)] == [True] * 3
