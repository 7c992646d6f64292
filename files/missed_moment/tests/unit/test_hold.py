"""Press and hold: what was only in RAM reaches no file, and what was being written is gone before the LED shows it."""

import errno
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from missed_moment.clips import names
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clock import NS
from missed_moment.config import ButtonSettings, LedSettings
from missed_moment.durable import LocalDisk
from missed_moment.errors import StoreError
from missed_moment.health import Fault
from missed_moment.panel import language
from missed_moment.panel import touch as touching
from missed_moment.panel.gpio import GpioPanel
from missed_moment.panel.language import Signal
from missed_moment.panel.touch import Hold, Press, Release
from missed_moment.ring import Ring
from missed_moment.services import presses, saver
from missed_moment.services.program import _Finger
from missed_moment.services.recorder import Recorder
from rig import SMALL_SETTINGS, FailingDisk, HookedDisk, StoppedDisk, filled, film, recording, stored, wait_for

FPS = SMALL_SETTINGS.fps
_LOOKS = {"free"}
"""Calls to a disk that write nothing."""


class NotedDisk(HookedDisk):
    """A disk that notes each call that could write."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        super().__init__(lambda name, _: self.calls.append(name) if name not in _LOOKS else None)


class Shown:
    """What the LED has shown, and what was in the store when it showed "forgotten"."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.signals: list[Signal] = []
        self.left: list[Path] = []

    def __call__(self, signal: Signal) -> None:
        if signal == language.FORGOTTEN:
            self.left += [
                path for path in self.store.rglob("*") if path.name not in {names.INCOMING, names.LAST_SEQUENCE}
            ]
        self.signals.append(signal)

    def once(self) -> list[str]:
        return [signal.name for signal in self.signals if signal.once]


def forget_at(recorder: Recorder, reached: threading.Event, go: threading.Event) -> None:
    """Press, and forget at the instant at which the disk has `reached` something; it waits there for `go`."""
    filled(recorder)
    recorder.press()
    assert reached.wait(20)
    forgotten = recorder.forget()
    go.set()
    assert forgotten.wait(20)


@contextmanager
def button(recorder: Recorder) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """A panel that is wired to a recorder as the program does it: how to press its button, and how to release it."""
    factory = MockFactory(pin_class=MockPWMPin)
    finger = _Finger(recorder)
    panel = GpioPanel(factory, ButtonSettings(), LedSettings(), finger.touch, lambda _: None, lambda _: None)
    try:
        yield factory.pin(17).drive_low, factory.pin(17).drive_high
    finally:
        panel.close()
        factory.reset()


def gone(store: Path) -> bool:
    """Whether the store holds nothing of any moment."""
    return not [path for path in store.rglob("*") if path.name not in {names.INCOMING, names.LAST_SEQUENCE}]


def test_a_hold_writes_nothing_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the edge of a pin to the disk: between the press and the end of the hold, no call could write."""
    monkeypatch.setattr(touching, "HOLD_NS", NS)
    disk, shown = NotedDisk(), Shown(tmp_path)
    with recording(tmp_path, disk, show=shown) as recorder, button(recorder) as (press, release):
        filled(recorder)
        wait_for(lambda: "mkdir" in disk.calls)  # the store is there
        before = list(disk.calls)
        shown.signals.clear()
        press()
        wait_for(lambda: language.SAVING in shown.signals)
        wait_for(lambda: language.FORGOTTEN in shown.signals)
        release()
        assert recorder.ring.state().seconds < 1.5
        threading.Event().wait(1.5)
        assert disk.calls == before
        assert shown.once() == ["forgotten"]
    assert disk.calls == before
    assert gone(tmp_path)


def test_a_press_is_written_when_the_button_is_released(tmp_path: Path) -> None:
    """The minute is that of the press, however long the button was down."""
    disk, shown = NotedDisk(), Shown(tmp_path)
    with recording(tmp_path, disk, show=shown) as recorder, button(recorder) as (press, release):
        filled(recorder, 3)
        seen, before = recorder.status().frames.seen, list(disk.calls)
        press()
        wait_for(lambda: shown.signals[-1] == language.SAVING)
        threading.Event().wait(1.5)  # longer than the moment goes on
        assert disk.calls == before
        assert shown.signals[-1] == language.SAVING
        release()
        wait_for(lambda: language.KEPT in shown.signals)
        assert recorder.wait_saved(20)
    [numbers] = stored(tmp_path)
    assert numbers[0] <= seen - 2 * FPS + 4
    assert abs(numbers[-1] - (seen + FPS)) <= 8


def test_a_press_whose_release_is_never_seen_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A panel may fail while its button is down."""
    monkeypatch.setattr(presses, "UNDECIDED_NS", NS)
    with recording(tmp_path) as recorder:
        filled(recorder)
        recorder.press(down=True)
        assert recorder.wait_saved(20)
    assert len(stored(tmp_path)) == 1


def test_stopping_waits_for_what_becomes_of_a_press(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presses, "UNDECIDED_NS", NS)
    with recording(tmp_path / "kept") as recorder:
        filled(recorder)
        recorder.press(down=True)
    assert len(stored(tmp_path / "kept")) == 1

    monkeypatch.setattr(presses, "UNDECIDED_NS", 60 * NS)
    with recording(tmp_path / "held") as recorder:
        filled(recorder)
        pressed_ns = recorder.press(down=True)
        stopping = threading.Thread(target=recorder.stop)
        stopping.start()
        recorder.forget(pressed_ns)
        stopping.join(30)
        assert not stopping.is_alive()
    assert gone(tmp_path / "held")


def test_a_hold_takes_the_moment_with_it_that_an_earlier_press_opened(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    with recording(tmp_path, show=shown, after_s=3) as recorder:
        filled(recorder)
        finger = _Finger(recorder)
        finger.touch(Press(0))
        finger.touch(Release(0))
        wait_for(lambda: language.KEPT in shown.signals)
        finger.touch(Press(1))
        finger.touch(Hold(1))
        wait_for(lambda: language.FORGOTTEN in shown.signals)
        assert recorder.wait_saved(20)
    assert shown.left == []
    assert shown.once() == ["kept", "forgotten"]
    assert gone(tmp_path)


def test_finished_moments_stay(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
        recorder.press()
        assert recorder.wait_saved(20)
        filled(recorder)
        finger = _Finger(recorder)
        finger.touch(Press(0))
        finger.touch(Hold(0))
        assert recorder.forget().wait(20)
    assert len(stored(tmp_path)) == 1


def test_no_moment_becomes_visible_while_a_button_is_down(tmp_path: Path) -> None:
    """What is visible may be on a stick a second later, where no hold forgets it."""
    with recording(tmp_path) as recorder:
        filled(recorder)
        recorder.press()
        wait_for(lambda: recorder._presses._grammar.window is None)
        pressed_ns = recorder.press(down=True)
        wait_for(lambda: all(order.take.end_ns is not None for order in recorder._saver.orders()))
        threading.Event().wait(2.5)  # longer than its last frames are waited for
        assert Catalogue(tmp_path, LocalDisk()).moments() == []
        assert recorder.forget(pressed_ns).wait(20)
    assert gone(tmp_path)


def test_what_the_disk_had_not_taken_yet_is_never_said_to_be_kept(tmp_path: Path) -> None:
    disk, shown = StoppedDisk(), Shown(tmp_path)
    with recording(tmp_path, disk, show=shown) as recorder:
        filled(recorder)
        recorder.press()
        assert disk.reached.wait(5)
        forgotten = recorder.forget()
        wait_for(lambda: recorder._presses._grammar.window is None)
        assert not forgotten.is_set()
        assert shown.signals[-1] == language.SAVING, "until it is gone"
        disk.go()
        assert forgotten.wait(20)
        filled(recorder)
        recorder.press()
        assert recorder.wait_saved(20)
    assert shown.left == []
    assert shown.once() == ["forgotten", "kept"], "the last of them is another moment's"
    assert len(stored(tmp_path)) == 1


def test_a_hold_while_the_last_sync_is_waited_for_is_never_followed_by_kept(tmp_path: Path) -> None:
    reached, go = threading.Event(), threading.Event()

    def wait_before_kept(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "sync_directory" and arguments[0].name == "moment-000001" and not reached.is_set():
            reached.set()
            assert go.wait(20)

    shown = Shown(tmp_path)
    with recording(tmp_path, HookedDisk(wait_before_kept), show=shown) as recorder:
        forget_at(recorder, reached, go)
    assert shown.left == []
    assert shown.once() == ["forgotten"]


@pytest.mark.parametrize("far", [names.INCOMING, "."], ids=["while it is written", "after it was stored"])
def test_a_hold_that_comes_late_leaves_nothing_of_its_press(tmp_path: Path, far: str) -> None:
    """On a board that stood still, a press may have counted before its hold is seen."""
    with recording(tmp_path) as recorder:
        filled(recorder)
        pressed_ns = recorder.press()
        wait_for((tmp_path / far / "moment-000001" / names.CLIP).exists)
        assert recorder.forget(pressed_ns).wait(20)
    assert gone(tmp_path)


def test_forgetting_at_the_very_instant_that_a_moment_gets_its_name(tmp_path: Path) -> None:
    reached, go = threading.Event(), threading.Event()

    def wait_at_the_last_rename(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "rename" and arguments[1].parent == tmp_path and not reached.is_set():
            reached.set()
            assert go.wait(20)

    with recording(tmp_path, HookedDisk(wait_at_the_last_rename)) as recorder:
        forget_at(recorder, reached, go)
    assert gone(tmp_path)


@pytest.mark.parametrize("call", ["rename", "open", "pwrite", "remove"])
def test_a_disk_that_does_not_forget_is_fault_six_until_it_does(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saver, "_LOOK_S", 0.1)
    disk, shown = FailingDisk(call, errno.EIO), Shown(tmp_path)
    disk.mended = True
    with recording(tmp_path, disk, show=shown, after_s=30) as recorder:
        filled(recorder)
        recorder.press()
        wait_for(lambda: language.KEPT in shown.signals)
        wait_for(lambda: bool(list(tmp_path.rglob(names.INFO))))
        disk.mended = False
        forgotten = recorder.forget()
        wait_for(lambda: "cannot be forgotten" in recorder.health.faults().get(Fault.SAVE_FAILED, ""))
        assert not forgotten.is_set()
        assert shown.once() == ["kept"]
        disk.mend()
        assert forgotten.wait(20)
        wait_for(lambda: recorder.health.faults() == {})
    assert shown.left == []
    assert shown.once() == ["kept", "forgotten"]
    assert gone(tmp_path)


def test_a_disk_that_hangs_while_it_overwrites_is_fault_six(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saver, "FORGETTING_NS", NS // 10)
    go = threading.Event()

    def hang(call: str, _: tuple[Any, ...]) -> None:
        if call == "pwrite":
            assert go.wait(20)

    with recording(tmp_path, HookedDisk(hang), after_s=30) as recorder:
        filled(recorder)
        recorder.press()
        wait_for(lambda: bool(list(tmp_path.rglob(names.INFO))))
        forgotten = recorder.forget()
        wait_for(lambda: "not gone yet" in recorder.health.faults().get(Fault.SAVE_FAILED, ""))
        go.set()
        assert forgotten.wait(20)
        wait_for(lambda: recorder.health.faults() == {})
    assert gone(tmp_path)


def test_a_second_hold_is_answered_when_the_first_is_done(tmp_path: Path) -> None:
    """The LED stays solid while a slow card overwrites: people hold again."""
    go, shown = threading.Event(), Shown(tmp_path)

    def hang(call: str, _: tuple[Any, ...]) -> None:
        if call == "pwrite":
            assert go.wait(20)

    with recording(tmp_path, HookedDisk(hang), show=shown, after_s=30) as recorder:
        filled(recorder)
        recorder.press()
        wait_for(lambda: bool(list(tmp_path.rglob(names.INFO))))
        first = recorder.forget()
        wait_for(lambda: not recorder._saver.orders())
        second = recorder.forget()
        assert not second.is_set()
        assert language.FORGOTTEN not in shown.signals
        go.set()
        assert first.wait(20)
        assert second.wait(20)
    assert shown.left == []
    assert gone(tmp_path)


def test_one_that_cannot_be_overwritten_does_not_keep_the_next_from_being_forgotten(tmp_path: Path) -> None:
    def refuse_the_first(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "open" and f"{names.TOMBSTONE}moment-000001" in str(arguments[0]):
            raise OSError(errno.EIO, "injected")

    with recording(tmp_path, HookedDisk(refuse_the_first), after_s=30) as recorder:
        for number in (1, 2):
            filled(recorder)
            recorder.press()
            wait_for(lambda number=number: bool(list(tmp_path.rglob(f"moment-{number:06}/{names.INFO}"))))
            recorder.forget()
            wait_for(lambda: Fault.SAVE_FAILED in recorder.health.faults())
        wait_for(lambda: not list(tmp_path.rglob("*moment-000002")))


def test_a_press_over_the_socket_does_not_spare_a_moment_from_a_hold(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
        recorder.press()
        down_ns = recorder.press(down=True)
        recorder.press()
        wait_for(lambda: bool(Catalogue(tmp_path, LocalDisk()).moments()))
        assert recorder.forget(down_ns).wait(20)
    assert gone(tmp_path)


def test_a_press_while_the_recorder_ends_is_refused(tmp_path: Path) -> None:
    with recording(tmp_path) as recorder:
        filled(recorder)
    with pytest.raises(StoreError, match="is ending"):
        recorder.press()


def test_a_store_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    with recording(tmp_path / "clips") as recorder:
        filled(recorder)
        shutil.rmtree(tmp_path / "clips")
        recorder.press()
        assert recorder.wait_saved(20)
        assert len(Catalogue(tmp_path / "clips", LocalDisk()).moments()) == 1


def test_what_is_to_be_forgotten_is_never_finished_meanwhile(tmp_path: Path) -> None:
    """What a save left over is finished after the next one: not while it waits to be forgotten."""
    fails = True

    def refuse_tombstones(call: str, arguments: tuple[Any, ...]) -> None:
        if fails and call == "rename" and arguments[1].name.startswith(names.TOMBSTONE):
            raise OSError(errno.EIO, "injected")

    shown = Shown(tmp_path)
    with recording(tmp_path, HookedDisk(refuse_tombstones), show=shown) as recorder:
        filled(recorder)
        recorder.press()
        wait_for(lambda: language.KEPT in shown.signals)
        forgotten = recorder.forget()
        wait_for(lambda: Fault.SAVE_FAILED in recorder.health.faults())
        filled(recorder)
        recorder.press()
        assert recorder.wait_saved(20)
        wait_for(lambda: recorder.status().store.moments == 1)
        assert [moment.sequence for moment in Catalogue(tmp_path, LocalDisk()).moments()] == [2]
        fails = False
        recorder._saver.look()
        assert forgotten.wait(20)
    assert [moment.sequence for moment in Catalogue(tmp_path, LocalDisk()).moments()] == [2]


def test_what_a_press_holds_back_counts_as_a_backlog(tmp_path: Path) -> None:
    """It is in RAM like what waits for a stopped disk, and bounded with it."""
    with recording(tmp_path) as recorder:
        filled(recorder)
        pressed_ns = recorder.press(down=True)
        assert recorder._presses._order is not None
        began_ns = recorder._presses._order.take.read_ns
        assert began_ns is not None
        assert recorder._presses.backlog_ns(pressed_ns) == pressed_ns - began_ns
        recorder.forget(pressed_ns)
        assert recorder._presses.backlog_ns(pressed_ns) == 0


def test_a_take_that_is_released_holds_nothing() -> None:
    ring = Ring(10, 10**9)
    packets = film(2)
    for packet in packets[:30]:
        ring.push_video(packet)
    take = ring.follow(0)
    for packet in packets[30:]:
        ring.push_video(packet)
    ring.cut(take)
    take.release()
    assert take.first() is None
    assert list(take.live()) == take.history == take.pcm_history == []
