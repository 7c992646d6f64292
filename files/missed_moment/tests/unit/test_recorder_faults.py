"""What goes wrong around a recorder: disks, cameras, settings, and memory that could reach storage."""

import errno
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from missed_moment import clock, ring
from missed_moment.board import USB_LOW_MA, Board, PowerSupply
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.clock import NS
from missed_moment.config import Loaded, Settings
from missed_moment.durable import LocalDisk
from missed_moment.errors import CameraError, StoreError
from missed_moment.health import Fault
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.ring import RingState
from missed_moment.services import keeper, saver
from missed_moment.services.recorder import Recorder
from missed_moment.services.status import PowerStatus
from rig import SMALL_SETTINGS, FailingDisk, StoppedDisk, UnpluggableCamera, filled, recording, stored, wait_for


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
        wait_for(lambda: recorder._presses.backlog_ns(time.monotonic_ns()) > 6 * 10**9)
        with pytest.raises(StoreError, match="RAM is full"):
            recorder.press()
        disk.go()
        assert recorder.wait_saved(20)
        assert recorder.health.faults() == {}
        assert recorder.status().frames.lost == 0
    assert len(stored(tmp_path)) == 1


def test_what_waits_for_the_disk_counts_for_more_where_the_encoder_overshoots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds bound what is held; with three times the bytes in a second, a third of the seconds is enough."""
    disk = StoppedDisk()
    with recording(tmp_path, disk) as recorder:
        filled(recorder)
        recorder.press()
        assert disk.reached.wait(20)
        [order] = recorder._saver.orders()
        now_ns = order.take.read_ns + 2 * NS
        assert recorder._presses.backlog_ns(now_ns) == 2 * NS
        dense = RingState(seconds=4, size=round(3 * 4 * recorder._presses._size.bytes_per_s), pictures=1, unusable=0)
        monkeypatch.setattr(recorder.ring, "state", lambda: dense)
        assert recorder._presses.backlog_ns(now_ns) == pytest.approx(6 * NS)
        recorder._backlog_limit_ns = 3 * (time.monotonic_ns() - order.take.read_ns)
        with pytest.raises(StoreError, match="RAM is full"):
            recorder.press()
        monkeypatch.undo()
        disk.go()


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
        assert recorder.status().power == PowerStatus(undervoltage=True, supply_ma=3000, usb_ma=USB_LOW_MA)
    finally:
        assert recorder.stop()


def test_a_board_at_its_limits_does_not_fill_the_history(tmp_path: Path) -> None:
    """Eighty degrees, then a little less, then a little more; and a voltage that is too low every other moment."""
    sysfs = tmp_path / "sys"
    (zone := sysfs / "class/thermal/thermal_zone0").mkdir(parents=True)
    (hwmon := sysfs / "class/hwmon/hwmon0").mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    (hwmon / "name").write_text("rpi_volt\n")
    looks = itertools.count()

    class SwingingBoard(Board):
        def complaint(self) -> str | None:
            look = next(looks)
            (zone / "temp").write_text(f"{79_400 + 1_300 * (look % 3)}\n")
            (hwmon / "in0_lcrit_alarm").write_text(f"{look % 2}\n")
            return super().complaint()

    board = SwingingBoard(sysfs)
    recorder = Recorder(
        Loaded(Settings(video=SMALL_SETTINGS)),
        SyntheticCamera(SMALL_SETTINGS),
        None,
        tmp_path,
        LocalDisk(),
        board,
        print,
    )
    recorder.start()
    try:
        wait_for(lambda: next(looks) > 20)
    finally:
        assert recorder.stop()
    assert len([noted for noted in recorder.health.history() if noted.fault is Fault.HOT]) <= 2


def test_nothing_is_filmed_while_memory_could_reach_storage(tmp_path: Path) -> None:
    swap = ["memory may be swapped to /dev/sda2"]
    with recording(tmp_path, wiring={"exposure": lambda: "; ".join(swap) or None}) as recorder:
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


class HotBoard:
    """A board that is hot, and short of power."""

    def temperature_c(self) -> float | None:
        return 90.0

    def undervoltage(self) -> bool | None:
        return True

    def power_supply(self) -> PowerSupply | None:
        return PowerSupply(max_ma=3000, usb_ma=USB_LOW_MA)

    def complaint(self) -> str | None:
        return "the board is hot"


class SimulatedClock:
    """CLOCK_MONOTONIC, of which any length can pass at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._passed_ns, self._real = 0, clock.monotonic_ns
        monkeypatch.setattr(clock, "monotonic_ns", lambda: self._real() + self._passed_ns)

    def passes(self, hours: float) -> None:
        self._passed_ns += round(hours * 3600 * NS)


@pytest.mark.parametrize("hours", [0.01, 14])
def test_a_press_after_the_camera_was_away_keeps_what_was_filmed_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    monkeypatch.setattr(keeper, "_BACK_OFF_S", (0.1,))
    simulated, camera = SimulatedClock(monkeypatch), UnpluggableCamera()
    with recording(tmp_path, camera=camera, after_s=0.5) as recorder:
        filled(recorder)
        camera.unplug()
        seen = recorder.status().frames.seen
        simulated.passes(hours)
        wait_for(lambda: recorder.ring.state().pictures == 0)
        camera.plug()
        wait_for(lambda: recorder.ring.state().seconds >= 0.5)
        recorder.press()
        assert recorder.wait_saved(20)
        wait_for(lambda: recorder.health.faults() == {})
    [numbers] = stored(tmp_path)
    assert numbers[0] >= seen - 2


@pytest.mark.parametrize("away", [True, False], ids=["while it is away", "when it is back"])
def test_a_moment_ends_when_its_camera_goes_away_and_the_next_press_opens_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    monkeypatch.setattr(keeper, "_BACK_OFF_S", (0.1,))
    monkeypatch.setattr(ring, "OUTAGE_NS", NS)
    camera = UnpluggableCamera()
    with recording(tmp_path, camera=camera, after_s=15, limit_s=120) as recorder:
        filled(recorder)
        recorder.press()
        camera.unplug()
        seen = recorder.status().frames.seen
        wait_for(lambda: recorder._presses._grammar.window is None, 5)
        if away:
            recorder.press()
            wait_for(lambda: recorder._presses._grammar.window is None, 5)
        camera.plug()
        wait_for(lambda: recorder.status().frames.seen >= seen + 15)
        if not away:
            recorder.press()
    first, second = stored(tmp_path)
    assert first[-1] <= seen
    assert second[-1] <= seen if away else second[0] >= seen - 1


def test_a_moment_that_could_not_be_kept_does_not_stay_in_memory(tmp_path: Path) -> None:
    with recording(tmp_path, FailingDisk("create", errno.EIO), after_s=0.5) as recorder:
        filled(recorder)
        recorder.press()
        order = recorder._presses._order
        assert recorder.wait_saved(20)
        wait_for(lambda: order.take.history == order.take.pcm_history == list(order.take.live()) == [])
        recorder._saver._catalogue.disk.mend()
