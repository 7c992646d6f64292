"""Cameras without hardware: what they deliver is what the ring expects."""

import errno
import itertools
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment import clock
from missed_moment.capture import encoder as encoding
from missed_moment.capture import v4l2, webcam
from missed_moment.capture.capture_times import CaptureTimes
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.capture.meter import FrameMeter
from missed_moment.capture.painting import GREY, WHITE, burn_number, draw_text, read_number
from missed_moment.capture.synthetic import FLASH_S, SyntheticCamera, paint
from missed_moment.capture.webcam import WebcamCamera
from missed_moment.clock import NS
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError, is_busy
from missed_moment.h264 import ParameterSets
from missed_moment.memory_budget import BYTES_MARGIN
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.ring import Ring
from rig import SMALL_SETTINGS, wait_for


@given(st.integers(0, 2**32 - 1), st.sampled_from([(144, 256), (720, 1280), (480, 640), (1080, 1920)]))
def test_the_number_is_read_back(number: int, shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(number).integers(0, 255, shape).astype(np.uint8)
    burn_number(luma, number)
    assert read_number(luma) == number


@given(st.integers(0, 2**16 - 1), st.integers(0, 63))
def test_a_damaged_number_is_not_taken_for_another(number: int, square: int) -> None:
    luma = np.zeros((144, 256), dtype=np.uint8)
    burn_number(luma, number)
    luma[:, square * 4 : square * 4 + 4] = 255 - luma[:, square * 4 : square * 4 + 4]
    assert read_number(luma) is None


def test_a_picture_without_a_number_has_none() -> None:
    assert read_number(np.full((144, 256), 96, dtype=np.uint8)) is None
    assert read_number(np.zeros((10, 10), dtype=np.uint8)) is None


@given(st.text("0123456789:.x", max_size=30), st.integers(0, 200), st.integers(0, 300))
def test_text_stays_inside_the_picture(text: str, top: int, left: int) -> None:
    draw_text(np.zeros((144, 256), dtype=np.uint8), text, top, left, 20)


@pytest.mark.parametrize("start", [0, 123_456_789])
def test_a_flash_lights_each_whole_second(start: int) -> None:
    luma = np.zeros((144, 256), dtype=np.uint8)
    light = 0.0
    for number in range(90):
        paint(luma, number, start + round(number * NS / 30), 30)
        assert read_number(luma) == number
        if (luma[10:] == luma[10, 0]).all():
            light += (int(luma[10, 0]) - GREY) / (WHITE - GREY) / 30
    assert light == pytest.approx(3 * FLASH_S, abs=0.002)


def collect(camera: SyntheticCamera | WebcamCamera, count: int) -> tuple[VideoFormat, list[VideoPacket]]:
    packets: list[VideoPacket] = []
    enough = threading.Event()

    def sink(packet: VideoPacket) -> None:
        packets.append(packet)
        if len(packets) >= count:
            enough.set()

    video = camera.start(sink)
    assert enough.wait(20)
    camera.stop()
    after = len(packets)
    assert len(packets) == after
    return video, packets


def decoded(packets: list[VideoPacket]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet.data))]
    return frames + decoder.decode(None)


def numbers(packets: list[VideoPacket]) -> list[int | None]:
    return [read_number(frame.reformat(format="gray").to_ndarray()) for frame in decoded(packets)]


def assert_well_formed(packets: list[VideoPacket], fps: int) -> None:
    assert packets[0].keyframe
    keys = [index for index, packet in enumerate(packets) if packet.keyframe]
    assert all(index % fps == 0 for index in keys)
    assert len(keys) == -(-len(packets) // fps)
    for index in keys:
        ParameterSets.find(packets[index])
    assert all(after.pts_ns > before.pts_ns for before, after in itertools.pairwise(packets))


def test_the_synthetic_camera_films_in_real_time() -> None:
    before = clock.monotonic_ns()
    video, packets = collect(SyntheticCamera(SMALL_SETTINGS), 65)
    assert video[:3] == (256, 144, 30)
    assert_well_formed(packets, 30)
    assert numbers(packets) == list(range(len(packets)))
    assert before <= packets[0].pts_ns
    assert packets[-1].pts_ns <= clock.monotonic_ns()


@pytest.mark.setting("video.width", "video.height", "video.fps")
def test_pictures_are_as_large_and_as_many_as_the_settings_say() -> None:
    wanted = VideoSettings(width=320, height=240, fps=10, bitrate_mbps=0.5)
    video, packets = collect(SyntheticCamera(wanted), 12)
    assert video[:3] == (320, 240, 10)
    assert_well_formed(packets, 10)
    assert {(frame.width, frame.height) for frame in decoded(packets)} == {(320, 240)}
    assert [(after.pts_ns - before.pts_ns) / NS for before, after in itertools.pairwise(packets)] == pytest.approx(
        [0.1] * (len(packets) - 1), abs=1e-6
    )


def test_the_synthetic_camera_can_be_started_again_and_stopped_twice() -> None:
    camera = SyntheticCamera(SMALL_SETTINGS)
    camera.stop()
    _, first = collect(camera, 5)
    camera.stop()
    _, second = collect(camera, 5)
    assert numbers(second)[0] > numbers(first)[-1]


def webcam_camera(open_device: Callable[..., object], video: VideoSettings = SMALL_SETTINGS) -> WebcamCamera:
    """A webcam whose node can capture, and is opened by `open_device`."""
    films = v4l2.Capability("uvcvideo", "HD Cam", v4l2.VIDEO_CAPTURE | v4l2.STREAMING)
    return WebcamCamera(video, Path("/dev/video0"), open_device, lambda _: films)


def mjpeg(path: Path, pictures: Iterable[np.ndarray]) -> Path:
    """Write MJPEG as a webcam delivers it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 256, 144, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 30)
        for number, planes in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(planes, format="yuvj420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Driver:
    """A webcam that delivers a file, each frame `stated_ns` (its number) after start; None: without a time.

    `damage` may change a frame's bytes, and raises what the driver's ioctl does. The driver waits for each frame.
    """

    def __init__(
        self,
        path: Path,
        stated_ns: Callable[[int], int | None] | None = None,
        damage: Callable[[int, bytes], bytes] = lambda _, data: data,
    ) -> None:
        self._container = av.open(str(path))
        self._frames = iter([bytes(packet) for packet in self._container.demux(video=0) if packet.size])
        self.streams = self._container.streams
        self._number = 0
        self._damage = damage
        start_ns = clock.monotonic_ns() - 5 * NS
        self._stated_ns = stated_ns or (lambda number: start_ns + number * NS // 30)

    def demux(self, video: int) -> Iterator[av.Packet]:
        for data in self._frames:
            number, self._number = self._number, self._number + 1
            packet = av.Packet(self._damage(number, data))
            packet.stream = self.streams.video[video]
            if (stated_ns := self._stated_ns(number)) is not None:
                packet.pts, packet.time_base = stated_ns // 1000, Fraction(1, 1_000_000)
            yield packet

    def close(self) -> None:
        self._container.close()


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """Numbered pictures."""

    def numbered(number: int) -> np.ndarray:
        planes = np.full((216, 256), 128, dtype=np.uint8)
        burn_number(planes[:144], number)
        return planes

    return mjpeg(tmp_path / "webcam.mkv", map(numbered, range(80)))


@pytest.mark.setting("video.width", "video.height", "video.fps")
def test_a_webcams_pictures_are_encoded_with_the_drivers_times(footage: Path) -> None:
    asked: list[dict[str, str]] = []

    def open_device(device: str, *, options: dict[str, str], **_: object) -> object:
        asked.append(options)
        if "input_format" in options:
            raise OSError(22, "no MJPEG here")
        return Driver(footage)

    video, packets = collect(webcam_camera(open_device, SMALL_SETTINGS.model_copy(update={"fps": 15})), 80)
    assert video[:3] == (256, 144, 30)  # what it has
    assert asked == [
        {"video_size": "256x144", "framerate": "15", "input_format": "mjpeg"},
        {"video_size": "256x144", "framerate": "15"},
    ]
    assert_well_formed(packets, 30)
    assert numbers(packets) == list(range(80))
    assert packets[30].pts_ns - packets[0].pts_ns == pytest.approx(NS, abs=2_000_000)


@pytest.mark.setting("video.bitrate_mbps")
@pytest.mark.parametrize("bitrate_mbps", [0.5, 2.0])
def test_pictures_take_the_bits_that_the_settings_say(bitrate_mbps: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(1)
    path = mjpeg(tmp_path / "noise.mkv", (noise.integers(0, 255, (216, 256)).astype(np.uint8) for _ in range(90)))
    wanted = SMALL_SETTINGS.model_copy(update={"bitrate_mbps": bitrate_mbps})
    _, packets = collect(webcam_camera(lambda *_, **__: Driver(path), wanted), 90)
    assert sum(len(packet.data) for packet in packets) * 8 / 3e6 == pytest.approx(bitrate_mbps, rel=0.4)


def test_a_webcam_that_goes_away_falls_silent(footage: Path) -> None:
    camera = webcam_camera(lambda *_, **__: Driver(footage))
    collect(camera, 80)
    camera.stop()


def test_a_webcam_that_goes_away_is_closed_when_none_of_its_frames_is_left() -> None:
    alive_at_close: list[bool] = []

    class Frame:
        def reformat(self, *_: object) -> av.VideoFrame:
            planes = np.full((144 * 3 // 2, 256), 128, dtype=np.uint8)
            return av.VideoFrame.from_ndarray(planes, format="yuv420p")

    class Packet:
        size, pts, time_base = 1, None, None

        def __init__(self, frame: Frame) -> None:
            self._frame = frame

        def decode(self) -> list[Frame]:
            return [self._frame]

    class Pulled:
        """A device whose plug is pulled after a few frames."""

        def __init__(self) -> None:
            self.streams = types.SimpleNamespace(video=[types.SimpleNamespace(width=256, height=144, average_rate=30)])
            self.memory: list[weakref.ref[object]] = []

        def demux(self, video: int) -> Iterator[Packet]:
            for _ in range(5):
                frame = Frame()
                self.memory.append(weakref.ref(frame))
                yield Packet(frame)
            raise OSError(errno.ENODEV, "it is gone")

        def close(self) -> None:
            alive_at_close.append(any(frame() is not None for frame in self.memory))

    camera = webcam_camera(lambda *_, **__: Pulled())
    camera.start(lambda _: None)
    wait_for(lambda: bool(alive_at_close))
    camera.stop()
    assert alive_at_close == [False]


def cut_short(data: bytes) -> bytes:
    return data[:300]  # within its tables: nothing of the image is left


def emptied(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [cut_short, emptied, lambda data: bytes(len(data)), lambda data: data[::-1]])
@pytest.mark.parametrize("bad", [{0}, {0, 1, 2}, {17}, {30}, set(range(10, 10 + webcam.MANY_DAMAGED - 1))])
def test_damaged_frames_are_skipped(
    damage: Callable[[bytes], bytes], bad: set[int], footage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Driver(footage, damage=lambda number, data: damage(data) if number in bad else data)
    _, packets = collect(webcam_camera(lambda *_, **__: driver), 80 - len(bad))
    assert numbers(packets) == [number for number in range(80) if number not in bad]
    assert packets[0].keyframe
    assert caplog.text.count("damaged frame") == 1


def test_a_driver_that_fails_once_goes_on(footage: Path) -> None:
    def fail_once(number: int, data: bytes) -> bytes:
        if number == 5:
            raise OSError(errno.EIO, "Input/output error")
        return data

    _, packets = collect(webcam_camera(lambda *_, **__: Driver(footage, damage=fail_once)), 78)
    assert numbers(packets)[:10] == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("fault", [OSError(errno.EIO, "Input/output error"), None])
def test_many_damaged_frames_in_a_row_are_a_fault(
    fault: OSError | None, footage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged: list[int] = []

    def damage(number: int, data: bytes) -> bytes:
        if number < 10:
            return data
        damaged.append(number)
        if fault:
            raise fault
        return b""

    driver, closed = Driver(footage, damage=damage), threading.Event()
    driver.close = closed.set
    camera = webcam_camera(lambda *_, **__: driver)
    camera.start(lambda _: None)
    assert closed.wait(20)
    camera.stop()
    assert len(damaged) == webcam.MANY_DAMAGED
    assert f"the last {webcam.MANY_DAMAGED} frames of the webcam /dev/video0 are damaged" in caplog.text
    assert "Traceback" not in caplog.text


def an_hour_ahead(number: int) -> int:
    return clock.monotonic_ns() + 3600 * NS if number == 40 else clock.monotonic_ns()


@pytest.mark.parametrize(
    "stated_ns",
    [
        lambda _: time.time_ns(),  # uvcvideo with clock=CLOCK_REALTIME
        an_hour_ahead,
        lambda number: 2**60 if number % 7 else 0,
        lambda number: number,  # the webcam's own clock
        lambda _: None,
        lambda _: clock.monotonic_ns() - 30 * NS,
        lambda number: clock.monotonic_ns() - (5 * NS if number % 2 else 0),  # there and back
    ],
)
def test_impossible_capture_times_empty_no_ring(stated_ns: Callable[[int], int | None], footage: Path) -> None:
    before_ns, ring = clock.monotonic_ns(), Ring(60, 2**30)
    _, packets = collect(webcam_camera(lambda *_, **__: Driver(footage, stated_ns)), 80)
    for packet in packets:
        ring.push_video(packet)
    assert len(ring.follow(0).history) == 80
    assert all(after.pts_ns > before.pts_ns for before, after in itertools.pairwise(packets))
    assert packets[0].pts_ns >= before_ns - 5 * NS
    assert packets[-1].pts_ns <= clock.monotonic_ns()
    assert numbers(packets) == list(range(80))


def test_a_capture_time_on_the_wall_clock_is_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic_ns", lambda: 100 * NS)
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000 * NS)
    assert CaptureTimes("webcam").of(1_800_000_000 * NS - 80_000_000) == 100 * NS - 80_000_000


@pytest.mark.parametrize("stated_ns", [101 * NS, 89 * NS, 0, -1, 2**62, 1_800_000_001 * NS, None])
def test_the_current_time_replaces_an_impossible_capture_time(
    stated_ns: int | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(clock, "monotonic_ns", lambda: 100 * NS)
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000 * NS)
    times = CaptureTimes("webcam")
    assert [times.of(stated_ns), times.of(99 * NS)] == [100 * NS, 100 * NS + 1000]
    times.of(stated_ns)
    assert caplog.text.count("are impossible") == (stated_ns is not None)


def test_a_webcam_in_use_is_one_message() -> None:
    def open_device(*_: object, **__: object) -> object:
        raise OSError(errno.EBUSY, "Device or resource busy")

    with pytest.raises(CameraError) as refused:
        webcam_camera(open_device).start(lambda _: None)
    assert refused.value.errno == errno.EBUSY
    assert "stop the program" in refused.value.strerror
    assert refused.value.strerror.count("busy") == 1
    assert "HD Cam (/dev/video0)" in refused.value.strerror


def test_a_busy_camera_is_known_by_any_error_that_led_to_the_one_at_hand() -> None:
    """As libcamera's bindings and picamera2 raise it."""

    def wrapped(first: Exception) -> Exception:
        try:
            try:
                raise first
            except RuntimeError:
                raise RuntimeError("Camera __init__ sequence did not complete.")  # noqa: B904 - as picamera2 does
        except RuntimeError as error:
            return error

    assert is_busy(wrapped(RuntimeError("Failed to acquire camera: Device or resource busy")))
    assert is_busy(OSError(errno.EBUSY, "busy"))
    assert not is_busy(wrapped(RuntimeError("Failed to acquire camera: No such device")))


@pytest.mark.parametrize("error", [IndexError("no stream"), KeyError("pts"), ValueError("0 bytes")])
def test_whatever_a_library_raises_while_a_webcam_runs_makes_it_fall_silent(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    closed = threading.Event()

    class Broken:
        streams = types.SimpleNamespace(video=[types.SimpleNamespace(width=256, height=144, average_rate=30)])
        close = staticmethod(closed.set)

        def demux(self, video: int) -> Iterator[object]:
            raise error
            yield

    camera = webcam_camera(lambda *_, **__: Broken())
    camera.start(lambda _: None)
    assert closed.wait(10)
    camera.stop()
    assert "stopped delivering" in caplog.text
    assert type(error).__name__ in caplog.text


def test_the_encoder_keeps_to_its_bit_rate() -> None:
    encoder = SoftwareEncoder(VideoFormat(640, 352, 30), 2_000_000)
    noise = np.random.default_rng(1)
    size = 0
    for number in range(90):
        planes = noise.integers(0, 255, (528, 640)).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        size += sum(len(packet.data) for packet in encoder.encode(frame, number * NS // 30))
    assert 0.5 < size * 8 / 3 / 2_000_000 < 2.0


def test_what_the_encoder_did_not_need_while_nothing_moved_is_not_spent_later() -> None:
    fps, bitrate, still_s = 30, 500_000, 20
    encoder, noise = SoftwareEncoder(VideoFormat(256, 144, fps), bitrate), np.random.default_rng(1)
    planes = np.full((216, 256), 128, dtype=np.uint8)
    sizes = []
    for number in range((still_s + 3) * fps):
        if number >= still_s * fps:
            planes = noise.integers(0, 255, planes.shape).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        sizes.append(sum(len(packet.data) for packet in encoder.encode(frame, number * NS // fps)))
    first, *others = (sum(sizes[second * fps :][:fps]) * 8 / bitrate for second in range(still_s, still_s + 3))
    assert first <= 1.05 * (encoding.PEAK + encoding.SAVED_S)  # VBV counts with what it has just been given, too
    assert max(others) <= BYTES_MARGIN, "what the ring's bytes are reckoned by"


def metered(times_s: Iterable[float], fps: float = 30) -> FrameMeter:
    """A meter that has seen frames at these times; the camera has just been stopped."""
    meter = FrameMeter()
    meter.begin()
    meter.fps = fps
    for at_s in times_s:
        meter.see(VideoPacket.of(b"", round(at_s * NS), False))
    meter.begin()
    return meter


def test_the_meter_counts_what_should_have_come() -> None:
    meter = metered(number / 30 for number in [0, 1, 2, 5, 6, 20])
    assert (meter.seen, meter.lost) == (6, 2 + 13)
    meter.see(VideoPacket.of(b"", 1000 * NS, True))
    meter.begin()
    assert meter.lost == 15, "nothing is lost while the camera is not running"


@pytest.mark.parametrize("rates", [[7.5], [30, 7.5], [7.5, 30], [30, 7.5, 30], [30, 20, 15, 10, 7.5, 15, 30]])
def test_frames_of_a_camera_that_slows_down_are_not_lost(rates: list[float]) -> None:
    intervals = [1 / rate for rate in rates for _ in range(20)]
    assert metered(itertools.accumulate(intervals, initial=0.0)).lost == 0


@pytest.mark.parametrize("rate", [7.5, 15, 30])
def test_frames_are_lost_at_any_rate(rate: float) -> None:
    numbers = [number for number in range(100) if number % 10 != 5 and number not in {71, 72}]
    assert metered(number / rate for number in numbers).lost == 12


def test_a_clock_that_steps_back_loses_no_frames() -> None:
    times = [number / 30 for number in [*range(20), *range(10, 40)]]
    assert metered(times).lost == 0


def test_every_second_frame_that_is_lost_is_counted() -> None:
    intervals = [1 / 30, 2 / 30] * 20
    assert metered(itertools.accumulate(intervals, initial=0.0)).lost == 20


@pytest.mark.parametrize("rate", [30, 15, 7.5, 5, 60])
def test_keyframes_come_each_second_whatever_the_frame_rate_is(rate: float) -> None:
    encoder = SoftwareEncoder(VideoFormat(256, 144, 30), 500_000)
    planes, packets = np.full((216, 256), 128, dtype=np.uint8), []
    jitter = np.random.default_rng(1)
    for number in range(round(10 * rate)):
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        packets += encoder.encode(frame, round((number + jitter.uniform(-0.2, 0.2)) * NS / rate))
    keys = [packet.pts_ns / NS for packet in packets if packet.keyframe]
    assert keys == pytest.approx(range(10), abs=1.25 / min(rate, 30))
    for packet in packets:
        if packet.keyframe:
            ParameterSets.find(packet)


def test_default_settings_film_at_their_size() -> None:
    video, packets = collect(SyntheticCamera(VideoSettings()), 3)
    assert video[:3] == (1280, 720, 30)
    wait_for(lambda: len(packets) >= 3)


def test_a_time_shortly_ahead_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers that state when a frame ends (vivid) may say so before it has."""
    monkeypatch.setattr(clock, "monotonic_ns", lambda: 100 * NS)
    assert CaptureTimes("webcam").of(100 * NS + NS // 5) == 100 * NS + NS // 5
    assert CaptureTimes("webcam").of(101 * NS) == 100 * NS
