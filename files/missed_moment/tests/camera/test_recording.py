"""A press on a recorder whose camera is picamera2's, with the settings that everybody has."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shims import Sensor

from missed_moment.board import Board
from missed_moment.capture.choice import choose_camera
from missed_moment.clips.catalogue import Moment
from missed_moment.clock import NS
from missed_moment.config import Loaded, MomentSettings, Settings
from missed_moment.durable import LocalDisk
from missed_moment.health import Fault
from missed_moment.services.recorder import Recorder
from rig import assert_whole, numbers_in, wait_for

BEFORE_S, AFTER_S = 5, 1


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """It films, and has filmed for as long as a press goes back."""
    settings = Settings(moment=MomentSettings(before_s=BEFORE_S, after_s=AFTER_S))
    camera = choose_camera("auto", settings.video)
    recorder = Recorder(Loaded(settings), camera, None, tmp_path, LocalDisk(), Board(), show=lambda _: None)
    recorder.start()
    try:
        wait_for(lambda: recorder.status().state == "recording", timeout_s=60)
        yield recorder
    finally:
        assert recorder.stop(60)


def press(recorder: Recorder) -> tuple[int, Moment]:
    """Press, and return when, and what came of it."""
    pressed_ns = recorder.press()
    wait_for(recorder.catalogue.moments, timeout_s=60)
    (moment,) = recorder.catalogue.moments()
    return pressed_ns, moment


def test_a_press_keeps_every_picture_around_it(recorder: Recorder, sensor: Sensor) -> None:
    pressed_ns, moment = press(recorder)
    numbers = assert_whole(moment.clip)
    first, last, each_second = numbers[0], numbers[-1], recorder.settings.video.fps
    start_ns, end_ns = pressed_ns - BEFORE_S * NS, pressed_ns + AFTER_S * NS
    # It begins with the last keyframe before the window: the next one, a second later, is inside.
    assert sensor.times_ns[first] <= start_ns < sensor.times_ns[first + each_second]
    assert sensor.times_ns[last] < end_ns <= sensor.times_ns[last + 1]


def test_pictures_play_when_they_were_exposed(recorder: Recorder, sensor: Sensor) -> None:
    _, moment = press(recorder)
    seen, numbers = numbers_in(moment.clip)
    start_ns = moment.info().start_ns
    assert len(numbers) > BEFORE_S * recorder.settings.video.fps
    for time_s, number in zip(seen.times_s, numbers, strict=True):
        assert number is not None
        assert start_ns / NS + time_s == pytest.approx(sensor.times_ns[number] / NS, abs=20e-6)


def test_a_camera_that_falls_silent_is_started_again_and_the_clip_tells_of_the_gap(
    recorder: Recorder, sensor: Sensor
) -> None:
    sensor.frozen.set()
    wait_for(lambda: Fault.CAMERA in recorder.health.faults())
    sensor.frozen.clear()
    wait_for(lambda: Fault.CAMERA not in recorder.health.faults())
    _, moment = press(recorder)
    _, numbers = numbers_in(moment.clip)
    assert None not in numbers
    assert max(gap.length_s for gap in moment.info().gaps) > 2
