"""Our camera class alone: what comes out of real picamera2, and what it says when it cannot."""

import errno
import gc
import itertools
import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import libcamera
import picamera2.picamera2
import pytest
from picamera2 import Picamera2
from shims import Sensor

from missed_moment import clock
from missed_moment.capture import picamera2 as ours
from missed_moment.capture.guarded import Guarded
from missed_moment.capture.picamera2 import Picamera2Camera
from missed_moment.capture.sensor_modes import SensorMode
from missed_moment.clock import NS
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError
from missed_moment.h264 import ParameterSets
from missed_moment.packets import VideoFormat, VideoPacket

SMALL = VideoSettings(width=256, height=144, fps=30, bitrate_mbps=0.5)


class Pictures:
    """Collects packets, with the time at which each arrived."""

    def __init__(self) -> None:
        self.packets: list[VideoPacket] = []
        self.arrivals_ns: list[int] = []
        self._more = threading.Condition()

    def take(self, packet: VideoPacket) -> None:
        with self._more:
            self.packets.append(packet)
            self.arrivals_ns.append(clock.monotonic_ns())
            self._more.notify()

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.packets) >= count, timeout=30)


@contextmanager
def filming(video: VideoSettings, pictures: Pictures) -> Iterator[VideoFormat]:
    camera = Picamera2Camera(video)
    delivered = camera.start(pictures.take)
    try:
        yield delivered
    finally:
        camera.stop()


def test_picamera2_is_the_version_that_is_meant() -> None:
    assert (metadata.version("picamera2") == "0.3.34") is (os.environ["PICAMERA2"] == "archive")


def open_files() -> int:
    gc.collect()  # picamera2 leaves its selectors to the garbage collector
    return len(list(Path("/proc/self/fd").iterdir()))


def test_pictures_carry_their_sensor_timestamp_and_seconds_begin_with_a_keyframe(sensor: Sensor) -> None:
    pictures, filmed_before = Pictures(), len(sensor.times_ns)
    with filming(SMALL, pictures) as delivered:
        pictures.wait_for(91)
    assert delivered[:3] == (256, 144, 30)
    # picamera2 rounds to microseconds
    exposed_ns = [time_ns // 1000 * 1000 for time_ns in sensor.times_ns[filmed_before:]]
    assert [packet.pts_ns for packet in pictures.packets[:91]] == exposed_ns[:91]
    assert [n for n, packet in enumerate(pictures.packets[:91]) if packet.keyframe] == [0, 30, 60, 90]
    for packet in pictures.packets:
        if packet.keyframe:
            ParameterSets.find(packet)  # raises BitstreamError where there are none
    for packet, arrival_ns in zip(pictures.packets, pictures.arrivals_ns, strict=True):
        assert 0 < arrival_ns - packet.pts_ns < 2 * NS, "SensorTimestamp is not on CLOCK_MONOTONIC"


def test_the_sensor_runs_at_the_frame_rate_of_the_settings() -> None:
    pictures = Pictures()
    with filming(SMALL.model_copy(update={"fps": 10}), pictures) as delivered:
        pictures.wait_for(12)
    assert delivered.fps == 10
    distances_ns = [after.pts_ns - before.pts_ns for before, after in itertools.pairwise(pictures.packets)]
    assert statistics.median(distances_ns) == pytest.approx(NS / 10, rel=0.05)


@pytest.mark.parametrize("bitrate_mbps", [0.5, 2.0])
def test_pictures_take_the_bits_that_the_settings_say(bitrate_mbps: float, sensor: Sensor) -> None:
    pictures = Pictures()
    sensor.dark.set()
    try:
        with filming(SMALL.model_copy(update={"bitrate_mbps": bitrate_mbps}), pictures):
            pictures.wait_for(90)
    finally:
        sensor.dark.clear()
    bits = sum(len(packet.data) for packet in pictures.packets[:90]) * 8
    assert bits / 3e6 == pytest.approx(bitrate_mbps, rel=0.4)


def test_a_size_that_the_camera_does_not_have_is_not_the_size_that_is_told() -> None:
    pictures = Pictures()
    with filming(SMALL.model_copy(update={"width": 320, "height": 240}), pictures) as delivered:
        pictures.wait_for(1)
    assert delivered[:2] == (1280, 720)


def test_a_second_camera_object_does_not_disturb_the_one_that_films() -> None:
    pictures = Pictures()
    with filming(SMALL, pictures):
        pictures.wait_for(2)
        with pytest.raises(CameraError, match="still open"):
            Picamera2Camera(SMALL).start(Pictures().take)
        pictures.wait_for(len(pictures.packets) + 5)


def guarded(camera: Picamera2Camera) -> Guarded[VideoPacket, VideoFormat]:
    return Guarded("camera", lambda: camera, CameraError)


@pytest.mark.parametrize("where", ["acquire", "allocator"])
@pytest.mark.parametrize(
    "error",
    [RuntimeError("in use"), PermissionError(13, "Permission denied"), KeyError("main"), IndexError("none")],
    ids=lambda error: type(error).__name__,
)
def test_a_camera_that_cannot_be_had_may_be_tried_for_ever_and_be_had_afterwards(
    where: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a Pi where another program uses the camera, or where /dev/dma_heap may not be read."""

    def fail(*_: object) -> None:
        raise error

    def try_once() -> None:
        with pytest.raises(CameraError) as refused:
            guarded(Picamera2Camera(SMALL)).start(Pictures().take)
        assert refused.value.errno == errno.EIO

    with monkeypatch.context() as broken:
        if where == "acquire":
            broken.setattr(libcamera.Camera, "acquire", fail)
        else:
            broken.setattr(picamera2.picamera2, "DmaAllocator", fail)
        try_once()
        before = open_files()
        for _ in range(2):
            try_once()
        assert open_files() == before
    pictures = Pictures()
    with filming(SMALL, pictures):
        pictures.wait_for(2)


@pytest.mark.parametrize("step", ["configure", "start_recording"])
def test_a_camera_that_another_program_takes_while_it_starts_is_busy(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of it may be taken although it could be opened: an ISP, or the encoder. No restart mends that."""

    def fail(*_: object) -> None:
        raise RuntimeError(f"Failed to {step}: {os.strerror(errno.EBUSY)}")

    with monkeypatch.context() as broken:
        broken.setattr(Picamera2, step, fail)
        with pytest.raises(CameraError) as refused:
            guarded(Picamera2Camera(SMALL)).start(Pictures().take)
    assert refused.value.errno == errno.EBUSY


def test_a_camera_that_fails_to_stop_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    stop_encoder = Picamera2.stop_encoder

    def fail(camera: Picamera2, *arguments: Any) -> None:
        stop_encoder(camera, *arguments)
        raise KeyError("main")

    camera = guarded(Picamera2Camera(SMALL))
    camera.start(Pictures().take)
    with monkeypatch.context() as broken:
        broken.setattr(Picamera2, "stop_encoder", fail)
        with pytest.raises(CameraError, match="does not stop"):
            camera.stop()
    pictures = Pictures()
    with filming(SMALL, pictures):
        pictures.wait_for(2)


def test_the_boards_camera_films_and_not_the_usb_webcam_beside_it() -> None:
    places = [("/usb" in camera["Id"], camera["Num"]) for camera in Picamera2.global_camera_info()]
    assert sorted(usb for usb, _ in places) == [False, True]
    camera = Picamera2Camera(SMALL)
    camera.start(Pictures().take)
    try:
        assert camera._camera.camera.id == "Virtual0"
    finally:
        camera.stop()


def test_a_usb_webcam_alone_is_no_camera_of_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    only_usb = [camera for camera in Picamera2.global_camera_info() if "/usb" in camera["Id"]]
    monkeypatch.setattr(Picamera2, "global_camera_info", staticmethod(lambda: only_usb))
    with pytest.raises(CameraError, match="no camera is found on the board's connector") as absent:
        Picamera2Camera(SMALL).start(Pictures().take)
    assert absent.value.errno == errno.ENODEV


def test_without_a_camera_libcamera_looks_again_each_time_and_leaks_nothing() -> None:
    """In a process of its own: objects of the other tests would keep its CameraManager."""
    looks_again = [sys.executable, Path(__file__).with_name("looks_again.py")]
    printed = subprocess.run(looks_again, check=True, capture_output=True, text=True, timeout=60).stdout
    looks = [line.split() for line in printed.splitlines()]
    assert [(number, ended) for number, ended, _ in looks] == [(str(errno.ENODEV), "True")] * 5
    assert len({files for *_, files in looks[1:]}) == 1


def test_no_raw_buffers_are_allocated_and_the_sensor_sees_all_that_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    create = Picamera2.create_video_configuration

    def create_and_note(camera: Picamera2, *arguments: Any, **options: Any) -> dict[str, Any]:
        asked.append(options)
        return create(camera, *arguments, **options)

    monkeypatch.setattr(Picamera2, "create_video_configuration", create_and_note)
    binned = SensorMode((2304, 1296), 10, 56.03, (4608, 2592))
    middle = SensorMode((1536, 864), 10, 120.13, (3072, 1728))
    monkeypatch.setattr(ours, "_modes", lambda *_: [middle, binned])
    for view in ("full", "crop"):
        with filming(SMALL.model_copy(update={"field_of_view": view}), Pictures()):
            pass
    # One call is picamera2's own, when it opens the camera.
    full, crop = [options for options in asked if options]
    assert full["raw"] is None
    assert full["sensor"] == {"output_size": (2304, 1296), "bit_depth": 10}
    assert crop["raw"] is None
    assert crop["sensor"] == {}


class Pi:
    """The part of a Raspberry Pi's camera that tells of sensor modes: two sizes at 10 bits, one of them cropped."""

    id = "/base/soc/i2c0mux/i2c@1/imx708@1a"
    _LIMITS: ClassVar = {(1536, 864): (8324, (3072, 1728)), (2304, 1296): (17849, (4608, 2592))}

    def __init__(self) -> None:
        self.configured: list[tuple[int, int]] = []

    def generate_configuration(self, _: list[Any]) -> Any:
        sizes = [libcamera.Size(*size) for size in self._LIMITS]
        formats = SimpleNamespace(pixel_formats=["SRGGB10_CSI2P"], sizes=lambda _: sizes)
        stream = SimpleNamespace(formats=formats)
        return SimpleNamespace(at=lambda _: stream, validate=lambda: None)

    def configure(self, configuration: Any) -> None:
        size = configuration.sensor_config.output_size
        assert configuration.sensor_config.bit_depth == 10
        self.configured.append((size.width, size.height))

    @property
    def controls(self) -> dict[Any, Any]:
        shortest_us, crop = self._LIMITS[self.configured[-1]]
        return {
            _Control("FrameDurationLimits"): SimpleNamespace(min=shortest_us),
            _Control("ScalerCrop"): SimpleNamespace(max=libcamera.Rectangle(0, 0, *crop)),
        }


class _Control(NamedTuple):
    name: str


def test_the_modes_of_a_sensor_are_read_once_without_buffers() -> None:
    device = Pi()
    camera = SimpleNamespace(camera=device, camera_properties={"ColorFilterArrangement": 0})
    modes = ours._modes(camera, (1280, 720))
    assert [(mode.size, mode.bit_depth, round(mode.fps), mode.crop) for mode in modes] == [
        ((1536, 864), 10, 120, (3072, 1728)),
        ((2304, 1296), 10, 56, (4608, 2592)),
    ]
    ours._modes(camera, (1280, 720))
    assert device.configured == [(1536, 864), (2304, 1296)]
    assert ours._sensor(camera, VideoSettings()) == {"output_size": (2304, 1296), "bit_depth": 10}


def test_a_sensor_whose_modes_cannot_be_read_films_all_the_same() -> None:
    broken = SimpleNamespace(camera=SimpleNamespace(id="new"), camera_properties={"ColorFilterArrangement": 0})
    assert ours._sensor(broken, VideoSettings()) == {}


def test_a_camera_starts_as_often_as_it_is_stopped() -> None:
    camera, pictures, open_at_the_end = Picamera2Camera(SMALL), Pictures(), []
    for _ in range(4):
        camera.start(pictures.take)
        pictures.wait_for(len(pictures.packets) + 5)
        camera.stop()
        camera.stop()
        open_at_the_end.append(open_files())
    times_ns = [packet.pts_ns for packet in pictures.packets]
    assert times_ns == sorted(set(times_ns))
    assert len(set(open_at_the_end[1:])) == 1
