"""Two recorders on one store: the second one never takes the first one's open clip for a leftover."""

import threading
from pathlib import Path

import pytest

from missed_moment.clips.store_lock import StoreLock
from missed_moment.control import ControlError
from missed_moment.errors import StoreError
from missed_moment.health import Fault
from missed_moment.panel.language import Stick
from missed_moment.services.program import _Commands
from rig import filled, recording, stored, wait_for


def test_a_second_recorder_leaves_the_open_clip_of_the_first_alone(tmp_path: Path) -> None:
    with recording(tmp_path, after_s=30, limit_s=60) as first:
        filled(first)
        first.press()
        wait_for(lambda: any(tmp_path.glob(".incoming/*/moment.json")))
        with recording(tmp_path) as second:
            wait_for(lambda: Fault.SAVE_FAILED in second.health.faults())
            assert f"another recorder writes to {tmp_path}" in second.health.faults()[Fault.SAVE_FAILED]
            filled(second)
            second.press()
            assert second.wait_saved(20)
            assert not list(tmp_path.glob("moment-*"))
            assert len(list(tmp_path.glob(".incoming/*"))) == 1
    assert len(stored(tmp_path)) == 1


def test_the_lock_ends_with_its_recorder_and_follows_a_mount(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    one, other = StoreLock(store), StoreLock(store)
    one.acquire()
    one.acquire()
    with pytest.raises(StoreError, match="another recorder"):
        other.acquire()
    store.rename(tmp_path / "hidden")
    store.mkdir()  # as if another file system had been mounted
    one.acquire()
    with pytest.raises(StoreError, match="another recorder"):
        other.acquire()
    one.release()
    other.acquire()
    other.release()
    with pytest.raises(FileNotFoundError):
        StoreLock(tmp_path / "none").acquire()


@pytest.mark.parametrize(
    "request_",
    [
        {"stick": "copying", "name": "1-1", "copied": float("nan")},
        {"stick": "copying", "name": "1-1", "copied": float("inf")},
        {"stick": "copying", "name": "1-1", "copied": -5},
        {"stick": "copying", "name": "1-1", "copied": "0.5"},
        {"stick": "copying", "name": 5},
        {"stick": "copying", "name": "1-1", "trouble": ["x"]},
        {"stick": "copying", "name": "1-1", "began_ns": 10**30},
        {"stick": "copying", "name": "1-1", "began_ns": float("nan")},
        {"stick": float("nan")},
        {"stick": []},
        {"stick": "gone"},
    ],
)
def test_no_message_about_a_stick_ends_the_recorder(tmp_path: Path, request_: dict[str, object]) -> None:
    with recording(tmp_path) as recorder:
        commands = _Commands(recorder)
        with pytest.raises(ControlError):
            commands.stick(request_)
        commands.stick({"stick": "copying", "name": "1-1", "copied": 0.5})
        assert recorder.status().stick == Stick.COPYING.value
        assert any(thread.name == "clerk" for thread in threading.enumerate())
        for newest in (float("nan"), float("inf"), -1, 1e300, "now", [], True):
            with pytest.raises(ControlError):
                commands.time({"newest": newest})
