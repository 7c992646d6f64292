"""The whole recorder, in real time with a real encoder: a few seconds where the device has a minute."""

import threading
from pathlib import Path

import av
import pytest

from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.health import Fault
from missed_moment.panel import language
from missed_moment.panel.language import Signal, Stick
from rig import SMALL_SETTINGS, StoppedDisk, filled, recording, stored, turn_of, wait_for

FPS = SMALL_SETTINGS.fps


@pytest.mark.setting("moment.before_s", "moment.after_s")
def test_a_press_keeps_the_seconds_before_and_after(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder, 3)
        pressed_at = recorder.status().frames.seen
        recorder.press()
        assert recorder.wait_saved(20)
        assert recorder.status().frames.lost == 0
    [numbers] = stored(tmp_path)
    assert pressed_at - 3 * FPS - 2 <= numbers[0] <= pressed_at - 2 * FPS + 2
    assert abs(numbers[-1] - (pressed_at + FPS)) <= 4


@pytest.mark.setting("video.rotation")
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_moment_is_turned_as_the_settings_say(tmp_path: Path, rotation: int) -> None:
    with recording(tmp_path, written=f"[video]\nrotation = {rotation}\n", before_s=1, after_s=0) as recorder:
        filled(recorder, 1)
        recorder.press()
        assert recorder.wait_saved(20)
    [moment] = Catalogue(tmp_path, LocalDisk()).moments()
    with av.open(str(moment.clip)) as container:
        assert -next(container.decode(video=0)).rotation % 360 == rotation  # libav counts the other way round
    assert turn_of(moment.path / names.THUMBNAIL, moment.clip) == rotation


@pytest.mark.setting("device.name")
def test_a_moment_knows_which_device_it_is_from(tmp_path: Path) -> None:
    with recording(tmp_path, written='[device]\nname = "kitchen"\n', before_s=1, after_s=0) as recorder:
        filled(recorder, 1)
        recorder.press()
        assert recorder.wait_saved(20)
    [moment] = Catalogue(tmp_path, LocalDisk()).moments()
    assert moment.info().device == "kitchen"


def test_without_a_press_nothing_is_written(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
    assert [path.name for path in tmp_path.rglob("*")] == [".incoming"]


@pytest.mark.setting("moment.limit_s")
def test_ten_presses_in_ten_seconds_lose_nothing(tmp_path: Path) -> None:
    presses = []
    with recording(tmp_path) as recorder:
        filled(recorder)
        for _ in range(10):
            presses.append((recorder.press(), recorder.status().frames.seen))
            threading.Event().wait(0.95)
        assert recorder.wait_saved(20)
        assert recorder.status().frames.lost == 0
        assert recorder.health.faults() == {}
    moments = Catalogue(tmp_path, LocalDisk()).moments()
    assert sorted({press for moment in moments for press in moment.info().presses_ns}) == [at for at, _ in presses]
    clips = stored(tmp_path)
    gop_s = 1
    assert 5 < max(map(len, clips)) / FPS <= 6 + gop_s
    for _, seen in presses:
        assert any(numbers[0] <= seen - 2 * FPS + 2 and numbers[-1] >= seen + FPS - 4 for numbers in clips)


def test_a_press_during_post_roll_makes_one_longer_moment(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
        recorder.press()
        threading.Event().wait(0.6)
        recorder.press()
        assert recorder.wait_saved(20)
    [numbers] = stored(tmp_path)
    assert 3.5 * FPS <= len(numbers) <= 4.8 * FPS


def test_a_press_in_the_first_second_keeps_what_there_is(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        wait_for(lambda: recorder.status().frames.seen > 0)
        recorder.press()
        assert recorder.wait_saved(20)
    [numbers] = stored(tmp_path)
    assert numbers[0] == 0
    assert numbers[-1] >= FPS - 4


def test_a_press_before_the_first_picture_keeps_what_comes(tmp_path: Path) -> None:
    with recording(tmp_path, after_s=2) as recorder:
        recorder.press()
        assert recorder.wait_saved(20)
    [numbers] = stored(tmp_path)
    assert numbers[0] == 0


def test_a_press_while_the_disk_stands_still_is_a_moment_of_its_own_with_its_history(tmp_path: Path) -> None:
    disk = StoppedDisk()
    with recording(tmp_path, disk) as recorder:
        filled(recorder)
        seen = [recorder.status().frames.seen]
        recorder.press()
        assert disk.reached.wait(5)
        wait_for(lambda: recorder._presses._grammar.window is None)
        seen.append(recorder.status().frames.seen)
        recorder.press()
        wait_for(lambda: recorder._presses._grammar.window is None)
        assert recorder.status().state == "saving"
        assert stored(tmp_path) == []
        disk.go()
        assert recorder.wait_saved(20)
        assert recorder.status().frames.lost == 0
    clips = stored(tmp_path)
    assert len(clips) == 2
    for pressed_at, numbers in zip(seen, clips, strict=True):
        assert numbers[0] <= pressed_at - 2 * FPS + 2
        assert numbers[-1] >= pressed_at + FPS - 4


def test_forgetting_leaves_nothing_of_the_time_before(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
        recorder.forget()
        seen = recorder.status().frames.seen
        recorder.press()
        assert recorder.wait_saved(20)
    [numbers] = stored(tmp_path)
    assert numbers[0] >= seen - 1


def test_the_switch_turns_the_camera_off_and_forgets(tmp_path: Path) -> None:
    camera = SyntheticCamera(SMALL_SETTINGS)
    with recording(tmp_path, camera=camera) as recorder:
        filled(recorder)
        recorder.switch(False)
        wait_for(lambda: recorder.status().state == "off")
        wait_for(lambda: not camera._worker.runs)  # what came until then is gone as well
        wait_for(lambda: recorder.ring.state().size == 0)
        threading.Event().wait(1.2)  # longer than until the next keyframe
        assert recorder.ring.state().size == 0
        seen = recorder.status().frames.seen
        recorder.switch(True)
        filled(recorder)
        assert recorder.status().frames.seen > seen
        assert recorder.status().frames.lost == 0


def test_stopping_finishes_what_was_pressed_for(tmp_path: Path) -> None:
    with recording(tmp_path, after_s=30) as recorder:
        filled(recorder)
        recorder.press()
    [numbers] = stored(tmp_path)
    assert len(numbers) >= 2 * FPS - 2


def test_the_led_tells_the_story_in_order(tmp_path: Path) -> None:
    shown: list[Signal] = []
    with recording(tmp_path, show=shown.append) as recorder:
        wait_for(lambda: language.RECORDING in shown)
        recorder.press()
        assert shown[-1] == language.SAVING
        assert recorder.wait_saved(20)
        wait_for(lambda: shown[-1] == language.RECORDING)
        recorder.forget()
        recorder.stick("1-1", Stick.COPYING, copied=0.8)
        wait_for(lambda: language.while_filming(language.copying(0.8)) in shown)
        assert recorder.status().copied == 0.8
        recorder.stick("1-1", Stick.DONE)
        wait_for(lambda: language.while_filming(language.STICK_DONE) in shown)
        recorder.stick("1-1", Stick.NONE, "the stick is full")
        wait_for(lambda: language.while_filming(language.FAULTS[Fault.STICK]) in shown)
    changes = [signal.name for before, signal in zip([None, *shown], shown, strict=False) if signal != before]
    story = [
        "filling",
        "recording",
        "saving",
        "kept",
        "recording",
        "forgotten",
        "copying",
        "stick done",
        "fault 4",
    ]
    remaining = iter(changes)
    assert all(name in remaining for name in story), changes


class SlowToStop(SyntheticCamera):
    """A camera that goes on filming until `released`, however early it is told to stop."""

    def __init__(self) -> None:
        super().__init__(SMALL_SETTINGS)
        self.stopping, self.released = threading.Event(), threading.Event()

    def stop(self) -> None:
        self.stopping.set()
        assert self.released.wait(20)
        super().stop()


def test_the_led_goes_dark_only_once_the_camera_has_stopped(tmp_path: Path) -> None:
    shown: list[Signal] = []
    camera = SlowToStop()
    with recording(tmp_path, camera=camera, show=shown.append) as recorder:
        filled(recorder)
        recorder.switch(False)
        assert camera.stopping.wait(20)
        shown.clear()
        wait_for(lambda: len(shown) >= 2)
        assert language.OFF not in shown
        assert recorder.status().state != "off"
        camera.released.set()
        wait_for(lambda: shown[-1] == language.OFF)
