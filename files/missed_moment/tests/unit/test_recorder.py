"""The whole recorder, in real time with a real encoder: a few seconds where the device has a minute."""

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from missed_moment.board import Board
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.clips.catalogue import Catalogue
from missed_moment.config import Loaded, Settings
from missed_moment.durable import LocalDisk
from missed_moment.errors import CameraError, StoreError
from missed_moment.health import Fault
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.panel import language
from missed_moment.panel.language import Signal, Stick
from missed_moment.services import keeper, saver
from missed_moment.services.recorder import Recorder
from rig import SMALL_SETTINGS, FailingDisk, HookedDisk, StoppedDisk, assert_whole, recording, wait_for

FPS = SMALL_SETTINGS.fps


def filled(recorder: Recorder, seconds: float = 2.0) -> None:
    wait_for(lambda: recorder.ring.state().seconds >= seconds)


def stored(store: Path) -> list[list[int]]:
    """The numbers of the pictures in each clip, oldest first; none of them has a hole."""
    return [assert_whole(moment.clip) for moment in Catalogue(store, LocalDisk()).moments()]


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


def test_without_a_press_nothing_is_written(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
    assert [path.name for path in tmp_path.rglob("*")] == [".incoming"]


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
        wait_for(lambda: recorder._grammar.window is None)
        seen.append(recorder.status().frames.seen)
        recorder.press()
        wait_for(lambda: recorder._grammar.window is None)
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


def test_a_press_at_the_instant_of_forget_keeps_its_history_and_ends_there(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
        seen = recorder.status().frames.seen
        recorder.press()
        recorder.forget()
        assert recorder.wait_saved(20)
    [numbers] = stored(tmp_path)
    assert numbers[0] <= seen - 2 * FPS + 2
    assert abs(numbers[-1] - seen) <= 3


@pytest.mark.parametrize("hold_s", [0.3, 2.5], ids=["while it is written", "after it was stored"])
def test_a_hold_withdraws_the_moment_that_it_began_with(tmp_path: Path, hold_s: float) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
        pressed_ns = recorder.press()
        threading.Event().wait(hold_s)
        recorder.forget(pressed_ns)
        assert recorder.wait_saved(20)
        wait_for(lambda: not list(tmp_path.glob("moment-*")))
    assert stored(tmp_path) == []
    assert not list((tmp_path / ".incoming").iterdir())


def test_a_hold_withdraws_its_moment_at_the_very_instant_that_it_gets_its_name(tmp_path: Path) -> None:
    reached, go = threading.Event(), threading.Event()

    def wait_at_the_last_rename(call: str, arguments: tuple[Path, ...]) -> None:
        if call == "rename" and arguments[1].parent == tmp_path:
            reached.set()
            assert go.wait(20)

    with recording(tmp_path, HookedDisk(wait_at_the_last_rename)) as recorder:
        filled(recorder)
        pressed_ns = recorder.press()
        assert reached.wait(20)
        recorder.forget(pressed_ns)
        go.set()
        assert recorder.wait_saved(20)
    assert stored(tmp_path) == []


def test_a_hold_leaves_nothing_of_a_moment_that_the_disk_did_not_finish(tmp_path: Path) -> None:
    disk = FailingDisk("rename", errno.EIO)
    with recording(tmp_path, disk) as recorder:
        filled(recorder)
        pressed_ns = recorder.press()
        assert recorder.wait_saved(20)
        assert list((tmp_path / ".incoming").iterdir())
        disk.mend()
        recorder.forget(pressed_ns)
        wait_for(lambda: not list((tmp_path / ".incoming").iterdir()))
    assert stored(tmp_path) == []


def test_the_switch_turns_the_camera_off_and_forgets(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
        recorder.switch(False)
        wait_for(lambda: recorder.status().state == "off")
        wait_for(lambda: not recorder._filming._source._camera._worker.runs)  # what came until then is gone as well
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


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["create", "writev", "sync", "rename"])
def test_a_failing_disk_is_fault_six_and_harms_neither_capture_nor_the_next_save(
    tmp_path: Path, call: str, error: int
) -> None:
    disk = FailingDisk(call, error)
    with recording(tmp_path, disk) as recorder:
        filled(recorder)
        recorder.press()
        assert recorder.wait_saved(20)
        assert str(tmp_path) in recorder.health.faults()[Fault.SAVE_FAILED]
        assert disk.failed
        disk.mend()
        filled(recorder)
        recorder.press()
        assert recorder.wait_saved(20)
        assert recorder.health.faults() == {}
        assert recorder.status().frames.lost == 0
    assert stored(tmp_path)
    assert not list((tmp_path / ".incoming").iterdir())  # what could not be finished then is finished now


def test_a_full_store_is_fault_three_before_the_next_press(tmp_path: Path) -> None:
    class FullDisk(LocalDisk):
        def free(self, path: Path) -> int:
            return 0

    with recording(tmp_path, FullDisk()) as recorder:
        wait_for(lambda: Fault.STORAGE_FULL in recorder.health.faults())
        filled(recorder)
        recorder.press()
        assert recorder.wait_saved(20)
        assert "USB stick" in recorder.health.faults()[Fault.STORAGE_FULL]


def test_a_store_out_of_reach_is_fault_six_before_the_next_press_and_used_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "_LOOK_S", 0.1)
    disk = FailingDisk("free", errno.EROFS)
    with recording(tmp_path, disk) as recorder:
        wait_for(lambda: "cannot be written to" in recorder.health.faults().get(Fault.SAVE_FAILED, ""))
        filled(recorder)
        disk.mend()
        wait_for(lambda: recorder.health.faults() == {})
        recorder.press()
        assert recorder.wait_saved(20)
    assert stored(tmp_path)


def test_a_disk_that_does_not_answer_is_reported_and_then_nothing_more_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "STALLED_NS", 500_000_000)
    disk = StoppedDisk()
    with recording(tmp_path, disk) as recorder:
        recorder._backlog_limit_ns = 6 * 10**9
        filled(recorder)
        recorder.press()
        wait_for(lambda: "has not answered" in recorder.health.faults().get(Fault.SAVE_FAILED, ""))
        wait_for(lambda: recorder._backlog_ns(time.monotonic_ns()) > 6 * 10**9)
        with pytest.raises(StoreError, match="RAM is full"):
            recorder.press()
        disk.go()
        assert recorder.wait_saved(20)
        assert recorder.health.faults() == {}
        assert recorder.status().frames.lost == 0
    assert len(stored(tmp_path)) == 1


class MoodyCamera:
    """A camera that fails to start, falls silent, and then works."""

    name = "moody"

    def __init__(self) -> None:
        self._good = SyntheticCamera(SMALL_SETTINGS)
        self.starts = 0

    def start(self, sink: Callable[[VideoPacket], None]) -> VideoFormat:
        self.starts += 1
        if self.starts == 1:
            raise CameraError("no camera: plug one in")
        if self.starts == 2:
            return VideoFormat(256, 144, 30)
        return self._good.start(sink)

    def stop(self) -> None:
        self._good.stop()


def test_a_camera_that_fails_or_falls_silent_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "START_NS", 500_000_000)
    monkeypatch.setattr(keeper, "_BACK_OFF_S", (0.2,))
    camera = MoodyCamera()
    with recording(tmp_path, camera=camera) as recorder:
        wait_for(lambda: "plug one in" in recorder.health.faults().get(Fault.CAMERA, ""))
        wait_for(lambda: "no pictures" in recorder.health.faults().get(Fault.CAMERA, ""))
        filled(recorder)
        wait_for(lambda: recorder.health.faults() == {})
        assert camera.starts == 3


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
        wait_for(lambda: language.copying(0.8) in shown)
        assert recorder.status().copied == 0.8
        recorder.stick("1-1", Stick.DONE)
        wait_for(lambda: language.STICK_DONE in shown)
        recorder.stick("1-1", Stick.NONE, "the stick is full")
        wait_for(lambda: language.FAULTS[Fault.STICK] in shown)
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


class NoCamera:
    name = "no"

    def start(self, _: object) -> VideoFormat:
        raise CameraError(errno.ENODEV, "there is none")

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("camera", [None, NoCamera()])
def test_who_waits_knows_then_whether_it_films(tmp_path: Path, camera: object) -> None:
    with recording(tmp_path, camera=camera) as recorder:
        assert recorder.wait_settled(10)
        seen, faults = recorder.status().frames.seen, recorder.health.faults()
        assert (seen > 0) == (camera is None)
        assert (Fault.CAMERA in faults) == (camera is not None)


def test_bad_settings_are_fault_seven_and_it_films(tmp_path: Path) -> None:
    settings = Settings(video=SMALL_SETTINGS)
    loaded = Loaded(settings, ("[video] widht is not a setting",))
    recorder = Recorder(
        loaded, SyntheticCamera(SMALL_SETTINGS), None, tmp_path, LocalDisk(), HotBoard(), lambda _: None
    )
    recorder.start()
    try:
        filled(recorder, 0.5)
        assert "widht" in recorder.health.faults()[Fault.SETTINGS]
        wait_for(lambda: Fault.HOT in recorder.health.faults())
        assert recorder.status().faults.keys() == {"settings", "hot"}
    finally:
        assert recorder.stop()


def test_nothing_is_filmed_while_memory_could_reach_storage(tmp_path: Path) -> None:
    swap: list[str] = []
    recorder = Recorder(
        Loaded(Settings(video=SMALL_SETTINGS)),
        SyntheticCamera(SMALL_SETTINGS),
        None,
        tmp_path,
        LocalDisk(),
        Board(),
        lambda _: None,
        exposure=lambda: "; ".join(swap) or None,
    )
    swap.append("memory may be swapped to /dev/sda2")
    recorder.start()
    try:
        assert recorder.wait_settled(0)
        wait_for(lambda: recorder.health.faults() == {Fault.EXPOSED: swap[0]})
        assert recorder.status().state == "off"
        assert recorder.status().frames.seen == 0
        swap.clear()
        filled(recorder, 0.5)
        assert recorder.health.faults() == {}
        swap.append("memory may be swapped to /swapfile")
        wait_for(lambda: recorder.status().state == "off" and recorder.ring.state().pictures == 0)
        recorder.switch(False)
        swap.clear()
        wait_for(lambda: recorder.health.faults() == {})
        assert recorder.status().state == "off"  # as the owner's switch says
    finally:
        assert recorder.stop()


class HotBoard:
    """A board that complains."""

    def temperature_c(self) -> float | None:
        return 90.0

    def throttled(self) -> int | None:
        return 1

    def complaint(self) -> str | None:
        return "the board is hot"
