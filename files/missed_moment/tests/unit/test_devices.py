"""Whatever a device's library does (raises, blocks, returns too late), the recorder films with what is left."""

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from missed_moment import clock
from missed_moment.capture import guarded
from missed_moment.capture.camera import VideoSink
from missed_moment.capture.choice import CameraChooser, Candidate
from missed_moment.capture.guarded import Guarded
from missed_moment.capture.meter import FrameMeter
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.clock import NS
from missed_moment.errors import CameraError, MicrophoneError
from missed_moment.health import Fault
from missed_moment.packets import PcmBlock, VideoFormat, VideoPacket
from missed_moment.panel.retried import RetriedPanel
from missed_moment.ring import Ring
from missed_moment.services import keeper as keeping
from missed_moment.services import program, sources
from missed_moment.services.keeper import Keeper
from missed_moment.services.sources import Filming
from rig import SMALL, SMALL_SETTINGS, filled, film, recording, wait_for


class LibraryError(Exception):
    """A class that no one knows, like `lgpio.error`."""


UNEXPECTED = [IndexError("list index out of range"), RuntimeError("no camera"), KeyError("main"), LibraryError("?")]


class StagedCamera:
    """Does as it is told at start and stop: films, stays silent, raises, or blocks until it is released."""

    def __init__(self, name: str = "staged", start: object = "film", stop: object = None) -> None:
        self.name = name
        self.at_start, self.at_stop = start, stop
        self.starts = self.stops = 0
        self.released = threading.Event()
        self.sink: VideoSink = lambda _: None
        self._good = SyntheticCamera(SMALL_SETTINGS)

    def start(self, sink: VideoSink) -> VideoFormat:
        self.starts += 1
        self.sink = sink
        self._act(self.at_start)
        return self._good.start(sink) if self.at_start == "film" else SMALL

    def stop(self) -> None:
        self.stops += 1
        self._good.stop()
        self._act(self.at_stop)

    def _act(self, what: object) -> None:
        if isinstance(what, Exception):
            raise what
        if what == "block":
            self.released.wait(60)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "CALL_S", 0.2)
    monkeypatch.setattr(keeping, "START_NS", 300_000_000)
    monkeypatch.setattr(keeping, "_LOOK_S", 0.02)
    monkeypatch.setattr(keeping, "_BACK_OFF_S", (0.02,))


def guard(camera: StagedCamera) -> Guarded[VideoPacket, VideoFormat]:
    return Guarded("staged camera", lambda: camera, CameraError)


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_any_error_of_a_library_becomes_the_devices_own(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "_log_once", guarded._log_once.__wrapped__)
    with pytest.raises(CameraError, match=f"staged camera does not start .{type(error).__name__}") as failed:
        guard(StagedCamera(start=error)).start(lambda _: None)
    assert failed.value.errno == errno.EIO
    assert "Traceback" in caplog.text, "a bug of ours could be behind it"
    camera = guard(StagedCamera(stop=error))
    camera.start(lambda _: None)
    with pytest.raises(CameraError, match="staged camera does not stop"):
        camera.stop()


def test_a_device_that_cannot_even_be_made_is_its_own_error() -> None:
    def make() -> StagedCamera:
        raise PermissionError(errno.EACCES, "Permission denied", "/dev/dma_heap/linux,cma")

    broken: Guarded[VideoPacket, VideoFormat] = Guarded("camera", make, CameraError)
    with pytest.raises(CameraError, match=r"not start \(Permission denied: /dev/dma_heap/linux,cma\)"):
        broken.start(lambda _: None)
    broken.stop()


def test_an_error_that_says_what_to_do_is_passed_on_as_it_is() -> None:
    error = CameraError(errno.ENODEV, "plug one in")
    with pytest.raises(CameraError) as passed:
        guard(StagedCamera(start=error)).start(lambda _: None)
    assert passed.value is error


def test_a_device_that_failed_to_start_is_stopped() -> None:
    camera = StagedCamera(start=KeyError("main"))
    with pytest.raises(CameraError):
        guard(camera).start(lambda _: None)
    assert camera.stops == 1


def test_a_start_that_blocks_is_left_behind_and_undone_when_it_returns() -> None:
    camera, packets = StagedCamera(start="block"), []
    guarded_camera = guard(camera)
    with pytest.raises(CameraError, match="does not answer within") as blocked:
        guarded_camera.start(packets.append)
    assert blocked.value.errno == errno.ETIMEDOUT
    assert guarded_camera.hangs
    camera.sink(film(seconds=0.1)[0])
    assert packets == [], "a device that was given up must not reach the ring: the camera may be switched off by now"
    assert camera.stops == 0
    camera.released.set()
    wait_for(lambda: not guarded_camera.hangs)
    assert camera.stops == 1


def test_a_device_whose_library_blocks_as_it_is_imported_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "MAKE_S", 0.5)
    released, camera = threading.Event(), StagedCamera()

    def make() -> StagedCamera:
        released.wait(20)
        return camera

    guarded_camera: Guarded[VideoPacket, VideoFormat] = Guarded("camera", make, CameraError)
    with pytest.raises(CameraError, match=r"does not answer within 0\.5 s") as blocked:
        guarded_camera.start(lambda _: None)
    assert blocked.value.errno == errno.ETIMEDOUT
    assert guarded_camera.hangs
    released.set()
    wait_for(lambda: not guarded_camera.hangs)
    assert camera.starts == 0


def test_a_library_may_take_longer_to_import_than_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "CALL_S", 0.1)
    slow, camera = threading.Event(), StagedCamera("slow")

    def make() -> StagedCamera:
        assert keeper.delivery.since_ns is None, "the recovery ladder does not count yet"
        slow.wait(0.3)
        return camera

    filming = Filming(CameraChooser(lambda: [Candidate("slow", "slow", make)]), FrameMeter(), Ring(9, 2**20), print)
    keeper = Keeper(filming, lambda _: None, lambda: None)
    keeper.start()
    try:
        wait_for(lambda: keeper.delivery.comes)
    finally:
        keeper.stop(5)


def test_a_stop_that_blocks_lets_nothing_pass_any_more() -> None:
    camera, packets = StagedCamera(start="silent", stop="block"), []
    guarded_camera = guard(camera)
    guarded_camera.start(packets.append)
    camera.sink(film(seconds=0.1)[0])
    assert len(packets) == 1
    with pytest.raises(CameraError, match="does not answer"):
        guarded_camera.stop()
    camera.sink(film(seconds=0.1)[0])
    assert len(packets) == 1
    camera.released.set()


def chooser(*cameras: StagedCamera) -> CameraChooser:
    return CameraChooser(lambda: list(map(candidate, cameras)))


def candidate(camera: StagedCamera) -> Candidate:
    return Candidate(camera.name, camera.name, lambda: camera)


@pytest.mark.parametrize("failing", ["block", "silent", *UNEXPECTED], ids=str)
def test_when_the_first_camera_fails_the_next_one_films(failing: object, tmp_path: Path) -> None:
    bad, good = StagedCamera("board", failing), StagedCamera("webcam")
    with recording(tmp_path, camera=chooser(bad, good)) as recorder:
        wait_for(lambda: recorder.status().camera == "webcam")
        assert bad.starts == 1
        filled(recorder, 0.5)
        wait_for(lambda: recorder.health.faults() == {})
        bad.released.set()


@pytest.mark.parametrize("failing", ["block", "silent", *UNEXPECTED], ids=str)
def test_a_camera_that_fails_alone_is_a_fault_until_it_films(failing: object, tmp_path: Path) -> None:
    camera = StagedCamera(start=failing)
    with recording(tmp_path, camera=camera) as recorder:
        wait_for(lambda: Fault.CAMERA in recorder.health.faults())
        camera.at_start = "film"
        camera.released.set()
        filled(recorder, 0.5)
        wait_for(lambda: recorder.health.faults() == {})


@pytest.mark.parametrize("failing", ["block", *UNEXPECTED], ids=str)
def test_a_camera_that_fails_to_stop_is_a_fault_and_is_started_again(failing: object, tmp_path: Path) -> None:
    camera = StagedCamera(start="silent", stop=failing)
    with recording(tmp_path, camera=camera) as recorder:
        wait_for(lambda: camera.stops >= 1)
        wait_for(lambda: Fault.CAMERA in recorder.health.faults())
        camera.at_start, camera.at_stop = "film", None
        camera.released.set()
        filled(recorder, 0.5)
        wait_for(lambda: recorder.health.faults() == {})


def test_a_camera_that_is_silent_and_one_that_is_busy_are_one_message(tmp_path: Path) -> None:
    silent = StagedCamera("board", "silent")
    busy = StagedCamera("webcam", CameraError(errno.EIO, "the webcam is busy"))
    with recording(tmp_path, camera=chooser(silent, busy)) as recorder:
        wait_for(lambda: silent.starts >= 4)
        messages = {noted.message for noted in recorder.health.history()}
    assert len(messages) <= 2, "the same state of things is told in the same words each round"
    assert any("no pictures" in message and "busy" in message for message in messages)


def test_a_camera_that_appears_while_none_films_is_used(tmp_path: Path) -> None:
    there = [StagedCamera("absent", CameraError(errno.ENODEV, "no camera is found"))]
    with recording(tmp_path, camera=CameraChooser(lambda: list(map(candidate, there)))) as recorder:
        wait_for(lambda: Fault.CAMERA in recorder.health.faults())
        there.append(StagedCamera("late"))
        filled(recorder, 0.5)
        assert recorder.status().camera == "late"


@contextmanager
def kept(camera: StagedCamera | CameraChooser, patience_ns: int = 0) -> Iterator[tuple[Keeper, list[str], list[str]]]:
    signs: list[str] = []
    faults: list[str] = []
    filming = Filming(camera, FrameMeter(), Ring(10, 2**20), lambda _: None)
    keeper = Keeper(
        filming,
        lambda fault: faults.append(fault or ""),
        lambda: signs.append("off"),
        lambda: signs.append("alive"),
        patience_ns,
    )
    keeper.start()
    try:
        yield keeper, signs, faults
    finally:
        keeper.stop(5)


@pytest.mark.parametrize(("start", "stop"), [("block", None), ("silent", None), ("silent", "block")])
def test_a_camera_that_is_there_and_answers_nothing_is_no_sign_of_life(start: str, stop: str | None) -> None:
    camera = StagedCamera(start=start, stop=stop)
    with kept(camera) as (keeper, signs, faults):
        wait_for(lambda: len(faults) >= 4)
        assert signs == []
        assert keeper.delivery.since_ns is not None, "the recovery ladder counts from here"
        assert camera.starts == 1 or stop is None
        camera.released.set()


def test_absent_cameras_are_no_reason_for_the_recovery_ladder() -> None:
    absent = StagedCamera("a", CameraError(errno.ENODEV, "none on the board"))
    with kept(chooser(absent, StagedCamera("b", CameraError(errno.ENODEV, "no webcam")))) as (keeper, signs, faults):
        wait_for(lambda: len(signs) >= 3)
        assert keeper.delivery.since_ns is None
        assert set(faults) == {"no camera films: none on the board; no webcam"}


def test_a_camera_whose_driver_is_still_being_loaded_is_no_fault_yet() -> None:
    camera = StagedCamera(start=CameraError(errno.ENODEV, "none on the board"))
    with kept(camera, patience_ns=3600 * NS) as (keeper, _, faults):
        wait_for(lambda: camera.starts >= 3)
        camera.at_start = "film"
        wait_for(lambda: keeper.delivery.comes)
        assert set(faults) <= {""}
    broken = StagedCamera(start=CameraError(errno.EIO, "broken"))
    with kept(broken, patience_ns=3600 * NS) as (_, _, faults):
        wait_for(lambda: any("broken" in fault for fault in faults))
    absent = StagedCamera(start=CameraError(errno.ENODEV, "none on the board"))
    with kept(absent, patience_ns=NS // 5) as (_, _, faults):
        wait_for(lambda: any("none on the board" in fault for fault in faults))


def test_a_camera_that_another_program_holds_is_no_reason_for_the_recovery_ladder() -> None:
    held = StagedCamera(start=CameraError(errno.EBUSY, "another program uses it: stop it"))
    with kept(held) as (keeper, signs, faults):
        wait_for(lambda: len(signs) >= 3)
        assert keeper.delivery.since_ns is None
        assert set(faults) == {"no camera films: another program uses it: stop it"}


@pytest.mark.parametrize(("start", "stop"), [("block", None), ("film", "block")])
def test_a_camera_that_hangs_as_it_is_switched_off_is_a_fault_and_no_sign_of_life(
    start: str, stop: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sensor may be on (picamera2#1264): systemd's watchdog has to end the process."""
    monkeypatch.setattr(keeping, "_OFF_S", 0.02)
    camera = StagedCamera(start=start, stop=stop)
    with kept(camera) as (keeper, signs, faults):
        wait_for(lambda: camera.starts == 1 and (start == "block" or "alive" in signs))
        keeper.switch(False)
        wait_for(lambda: "off" in signs)
        signs.clear()
        told = len(faults)
        wait_for(lambda: len(faults) > told + 2)
        assert signs == []
        assert "does not answer" in faults[-1]
        camera.released.set()
        wait_for(lambda: "alive" in signs)
        wait_for(lambda: faults[-1] == "")


def test_a_camera_is_noted_while_it_is_being_started(tmp_path: Path) -> None:
    note = tmp_path / "note"
    seen: list[str] = []

    class Noted(StagedCamera):
        def start(self, sink: VideoSink) -> VideoFormat:
            seen.append(note.read_text())
            return super().start(sink)

    filming = Filming(CameraChooser(lambda: [candidate(Noted())], note), FrameMeter(), Ring(10, 2**20), lambda _: None)
    filming.start()
    assert seen == ["staged"]
    assert not note.exists()
    filming.stop()


def test_a_camera_that_was_stopped_before_its_first_frame_is_started_again_before_any_other() -> None:
    board, webcam = StagedCamera("board", "silent"), StagedCamera("webcam")
    filming = Filming(chooser(board, webcam), FrameMeter(), Ring(10, 2**20), lambda _: None)
    for starts in (1, 2):
        filming.start()
        filming.stop()
        assert (board.starts, webcam.starts) == (starts, 0)
    filming.start()
    assert "no pictures" in filming.fell_silent()
    filming.stop()
    filming.start()
    assert (board.starts, webcam.starts) == (3, 1)
    filming.stop()


def test_only_so_many_threads_are_left_behind() -> None:
    cameras = [StagedCamera(f"camera {number}", "block") for number in range(sources.LEFT_BEHIND + 3)]
    with kept(chooser(*cameras)) as (_, _, faults):
        wait_for(lambda: any("too many" in fault for fault in faults))
        assert sum(camera.starts for camera in cameras) == sources.LEFT_BEHIND
        for camera in cameras:
            camera.released.set()


class BrokenMicrophone:
    name = "the microphone usb"

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.starts = 0
        self.released = threading.Event()

    def start(self, _: Callable[[PcmBlock], None]) -> None:
        self.starts += 1
        if self.error is not None:
            raise self.error
        self.released.wait(60)

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "id"), *UNEXPECTED, None], ids=str)
def test_whatever_a_microphone_does_the_camera_films(error: Exception | None, tmp_path: Path) -> None:
    microphone = BrokenMicrophone(error)
    with recording(tmp_path, microphone=microphone, written="[sound]\nenabled = true") as recorder:
        filled(recorder, 0.5)
        wait_for(lambda: Fault.MICROPHONE in recorder.health.faults())
        assert error is None or microphone.starts >= 1
        microphone.released.set()


def test_microphone_errors_are_microphone_errors() -> None:
    microphone: Guarded[PcmBlock, None] = Guarded("m", lambda: BrokenMicrophone(KeyError("card")), MicrophoneError)
    with pytest.raises(MicrophoneError):
        microphone.start(lambda _: None)


def fail_in_a_thread(source: str, module: str) -> threading.ExceptHookArgs:
    """Let a thread fail whose code is that of `module`."""
    failures: list[threading.ExceptHookArgs] = []
    namespace: dict[str, object] = {"__name__": module}
    exec(source, namespace)  # noqa: S102 - it is written here
    hook, threading.excepthook = threading.excepthook, failures.append
    try:
        thread = threading.Thread(target=namespace["run"])  # type: ignore[arg-type]
        thread.start()
        thread.join()
    finally:
        threading.excepthook = hook
    return failures[0]


@pytest.mark.parametrize(
    ("module", "ours", "panels"),
    [("picamera2.picamera2", False, False), ("lgpio", False, True), ("missed_moment.services.saver", True, False)],
)
def test_a_librarys_thread_may_fail_without_ending_the_recorder(
    module: str, ours: bool, panels: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class EndedError(Exception):
        pass

    def end(code: int) -> None:
        assert code == program.EXIT_BUG
        raise EndedError

    monkeypatch.setattr(program.os, "_exit", end)
    panel = RetriedPanel(lambda: pytest.fail("it is not started"), lambda _: None)
    failed = fail_in_a_thread("def run():\n    raise IndexError('no camera')", module)
    with pytest.raises(EndedError) if ours else nullcontext():
        program._thread_failed(failed, panel)
    assert (panel._failure is failed.exc_value) is panels
    assert "no camera" in caplog.text


class FilmsOnce:
    """A source that delivers one packet at each start."""

    hangs: str | None = None
    last_arrival_ns: int | None = None

    def start(self) -> None:
        self.last_arrival_ns = clock.monotonic_ns()

    def fell_silent(self) -> str:
        return "silent"

    def stop(self) -> None:
        """Nothing runs."""


def test_a_camera_that_fell_silent_is_not_shown_as_filming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SILENCE_NS", NS // 2)
    seen: list[tuple[str | None, bool]] = []
    keeper = Keeper(FilmsOnce(), lambda complaint: seen.append((complaint, keeper.may_deliver)), lambda: None)
    keeper.start()
    try:
        wait_for(lambda: (None, True) in seen and ("silent", False) in seen)
        assert ("silent", True) not in seen
    finally:
        keeper.stop(10)
    assert not keeper.may_deliver
