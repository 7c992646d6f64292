"""Our camera class alone: what comes out of real picamera2, and what it says when it cannot."""

import gc
import itertools
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shims import Sensor

from missed_moment import clock
from missed_moment.capture.picamera2 import Picamera2Camera
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


def open_files() -> int:
    gc.collect()  # picamera2 leaves its selectors to the garbage collector
    return len(list(Path("/proc/self/fd").iterdir()))


def test_pictures_carry_their_sensor_timestamp_and_seconds_begin_with_a_keyframe(sensor: Sensor) -> None:
    pictures, filmed_before = Pictures(), len(sensor.times_ns)
    with filming(SMALL, pictures) as delivered:
        pictures.wait_for(91)
    assert delivered == VideoFormat(256, 144, 30)
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


def test_a_camera_in_use_is_refused_in_words_and_can_be_had_afterwards() -> None:
    pictures = Pictures()
    with filming(SMALL, Pictures()), pytest.raises(CameraError, match="no other program"):
        Picamera2Camera(SMALL).start(pictures.take)
    with filming(SMALL, pictures):
        pictures.wait_for(2)


def test_a_camera_that_cannot_be_had_may_be_tried_for_ever() -> None:
    def try_once() -> None:
        with pytest.raises(CameraError):
            Picamera2Camera(SMALL).start(Pictures().take)

    with filming(SMALL, Pictures()):
        try_once()
        before = open_files()
        for _ in range(3):
            try_once()
        assert open_files() == before


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
