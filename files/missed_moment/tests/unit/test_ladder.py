"""A camera that is there and films nothing: what is started again, and when no more."""

import errno
import threading
from pathlib import Path

import pytest

from missed_moment import clock, ladder
from missed_moment.capture.camera import VideoSink
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from missed_moment.ladder import PATIENCE_NS, REBOOT_AFTER_S, TRUST_NS, Ladder, Restarts, Step, next_step
from missed_moment.packets import VideoFormat
from rig import FailingDisk, StoppedDisk, filled, film, recording, wait_for

HOUR_S = 3600


@pytest.mark.parametrize(
    ("stuck_s", "up_s", "in_vain", "boards", "step"),
    [
        (0, HOUR_S, 9, 9, Step.NOTHING),
        (24, HOUR_S, 9, 0, Step.NOTHING),  # the camera itself is started again meanwhile
        (25, 60, 0, 0, Step.RECORDER),
        (25, 60, 1, 0, Step.RECORDER),
        (25, 119, 2, 0, Step.RECORDER),  # a board that has just been started is not started again
        (25, 120, 2, 0, Step.BOARD),
        (25, 599, 9, 1, Step.RECORDER),
        (25, 600, 9, 1, Step.BOARD),
        (25, HOUR_S, 9, 2, Step.BOARD),
        (25, 23 * HOUR_S, 99, 4, Step.RECORDER),
        (25, 24 * HOUR_S, 99, 4, Step.BOARD),
        (25, 24 * HOUR_S, 99, 99, Step.BOARD),  # once a day, for ever
    ],
)
def test_each_rung_comes_when_the_one_below_has_helped_nothing(
    stuck_s: float, up_s: float, in_vain: int, boards: int, step: Step
) -> None:
    assert next_step(round(stuck_s * NS), up_s, in_vain, boards) is step


def starting(tmp_path: Path, disk: LocalDisk | None = None) -> Ladder:
    begun = Ladder(tmp_path / "run", tmp_path / "store", disk or LocalDisk())
    begun.begin()
    return begun


@pytest.fixture(autouse=True)
def _places(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "store").mkdir()


def power_off(tmp_path: Path) -> None:
    for note in (tmp_path / "run").iterdir():
        note.unlink()


def test_a_camera_that_stays_broken_starts_the_board_ever_less_often(tmp_path: Path) -> None:
    now_s, reboots = 0.0, []
    for _ in range(4):
        power_off(tmp_path)
        up_s, step = 0.0, Step.NOTHING
        while step is not Step.BOARD:
            recorder = starting(tmp_path)
            up_s += 30
            step = recorder.look(PATIENCE_NS, 0, up_s)
        now_s += up_s
        reboots.append(up_s)
    assert reboots == list(REBOOT_AFTER_S[:4])
    assert starting(tmp_path).restarts(0).board == 4


def test_pictures_for_a_minute_and_all_counts_from_the_beginning(tmp_path: Path) -> None:
    for _ in range(3):
        recorder = starting(tmp_path)
        step = recorder.look(PATIENCE_NS, 0, HOUR_S)
    assert step is Step.BOARD
    power_off(tmp_path)
    recorder = starting(tmp_path)
    assert recorder.restarts(camera=3) == Restarts(camera=3, recorder=0, board=1)
    recorder.look(0, TRUST_NS // 2, 60)
    assert starting(tmp_path).restarts(0) == Restarts(camera=0, recorder=1, board=1)
    recorder.look(0, TRUST_NS + 1, 120)
    assert starting(tmp_path).restarts(0).board == 0


def test_who_was_told_to_end_was_not_started_again(tmp_path: Path) -> None:
    starting(tmp_path).ended()
    assert starting(tmp_path).restarts(0).recorder == 0
    assert starting(tmp_path).restarts(0).recorder == 1


def test_a_board_is_not_started_again_where_that_cannot_be_noted(tmp_path: Path) -> None:
    for _ in range(4):
        recorder = starting(tmp_path, FailingDisk("create", errno.EROFS))  # type: ignore[arg-type]
        assert recorder.look(PATIENCE_NS, 0, 48 * HOUR_S) is Step.RECORDER


def test_notes_that_are_nonsense_are_none(tmp_path: Path) -> None:
    for place in ("run", "store"):
        (tmp_path / place / ".restarts.json").write_text('{"board": -1, "recorder": "x"}')
    assert starting(tmp_path).restarts(0) == Restarts(recorder=1)


class SilentCamera:
    """Films for a second when it is started first, and never again."""

    name = "silent"

    def __init__(self) -> None:
        self.starts = 0

    def start(self, sink: VideoSink) -> VideoFormat:
        self.starts += 1
        if self.starts == 1:
            for packet in film(seconds=1, start_ns=clock.monotonic_ns() - NS):
                sink(packet)
        return VideoFormat(320, 240, 30)

    def stop(self) -> None:
        pass


def test_the_recorder_climbs_when_its_camera_falls_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "PATIENCE_NS", NS)
    monkeypatch.setattr("missed_moment.services.keeper.SILENCE_NS", NS // 5)
    monkeypatch.setattr("missed_moment.services.keeper.START_NS", NS // 5)
    camera, gave_up = SilentCamera(), threading.Event()
    steps: list[Step] = []

    def give_up(step: Step) -> None:
        steps.append(step)
        gave_up.set()

    wiring = {"give_up": give_up, "runtime": tmp_path / "run"}
    with recording(tmp_path / "store", camera=camera, wiring=wiring) as recorder:
        recorder.press()  # what was pressed for is kept first
        assert gave_up.wait(20)
        assert steps[0] is Step.RECORDER
        assert camera.starts >= 2
        assert recorder.status().restarts.camera >= 1
        assert recorder.wait_saved(20)
        [moment] = Catalogue(tmp_path / "store", LocalDisk()).moments()
        assert moment.info().restarts is not None
    assert not list((tmp_path / "run").iterdir())


def test_a_press_while_the_ladder_decides_is_kept_before_the_recorder_ends(tmp_path: Path) -> None:
    disk, steps = StoppedDisk(), list[Step]()
    with recording(tmp_path / "store", disk, wiring={"give_up": steps.append}) as recorder:
        filled(recorder)
        pressed: list[int] = []

        def look(*_: object) -> Step:
            if not pressed:
                pressed.append(recorder.press())
            return Step.RECORDER

        recorder._ladder.look = look  # type: ignore[method-assign]
        recorder._climb(clock.monotonic_ns())
        assert pressed
        assert steps == []
        disk.go()
        assert recorder.wait_saved(20)
        wait_for(lambda: bool(steps))


def test_reboots_are_counted_though_the_store_is_mounted_late(tmp_path: Path) -> None:
    """Else a board whose camera is broken would be started again every two minutes, for ever."""
    stuck_ns = PATIENCE_NS + 1
    for boards, up_s in enumerate(REBOOT_AFTER_S[:3]):
        (tmp_path / "store").rename(tmp_path / "not mounted yet")
        climbing = starting(tmp_path)
        assert climbing.restarts(0).board == 0
        (tmp_path / "not mounted yet").rename(tmp_path / "store")
        for _ in range(ladder.RECORDERS_IN_VAIN):
            climbing = starting(tmp_path)
        assert climbing.look(stuck_ns, 0, up_s - 1) is Step.RECORDER
        assert climbing.look(stuck_ns, 0, up_s) is Step.BOARD
        assert climbing.restarts(0).board == boards + 1
        power_off(tmp_path)
