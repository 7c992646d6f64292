"""The Raspberry Pi's own cameras, through picamera2 and libcamera.

Importable only where picamera2 is: on Raspberry Pi OS, or where the tests have built it.
"""

import atexit
import errno
import gc
import logging
import os
from typing import Any

import libcamera
from picamera2 import Picamera2
from picamera2.encoders import Encoder, H264Encoder
from picamera2.formats import is_raw
from picamera2.outputs import Output
from picamera2.sensor_format import SensorFormat

from missed_moment.capture.camera import VideoSink
from missed_moment.capture.capture_times import CaptureTimes
from missed_moment.capture.encoder import KEYFRAME_NS, bounds, colour_options
from missed_moment.capture.sensor_modes import SensorMode, choose_mode
from missed_moment.config import VideoSettings
from missed_moment.errors import CameraError, is_busy
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.sps import Colour

log = logging.getLogger(__name__)

_COLOURS = {
    "Rec709": Colour(1, 1, 1, full_range=False),
    "SMPTE170M": Colour(6, 1, 6, full_range=False),
    "sYCC": Colour(1, 13, 6, full_range=True),
}
"""libcamera's names of colour spaces (color_space.cpp); picamera2 asks for Rec709 from 1280x720 on."""

_KEYFRAME_LATE_NS = KEYFRAME_NS * 3 // 2
"""After this time without a keyframe, one is asked for."""

_MODES: dict[str, list[SensorMode]] = {}
"""The modes of each sensor, by the camera's identifier: the kernel's drivers do not change them while we run."""


class Picamera2Camera:
    """The first camera on the board's connectors; libcamera lists USB webcams too, which do not count.

    `H264Encoder` is the board's own encoder up to the Pi 4, and libx264 on the Pi 5. YUV420 is what both take
    without converting: other formats cost a third more of the processor.
    """

    name = "picamera2"

    def __init__(self, video: VideoSettings) -> None:
        self._video = video
        self._camera: Picamera2 | None = None

    def start(self, sink: VideoSink) -> VideoFormat:
        """Begin to film. Raises CameraError; ENODEV if no camera is connected to the board."""
        video = self._video
        self._camera = camera = _open(_look())
        try:
            # Without raw=None, picamera2 allocates six buffers of raw frames (15 to 28 MB) that nobody reads.
            camera.configure(
                camera.create_video_configuration(
                    {"size": (video.width, video.height), "format": "YUV420"},
                    raw=None,
                    sensor=_sensor(camera, video),
                    controls={"FrameRate": video.fps},
                )
            )
            encoder = H264Encoder(
                bitrate=round(video.bitrate_mbps * 1e6), repeat=True, iperiod=video.fps, framerate=video.fps
            )
            configuration = camera.camera_configuration()
            colour = _colour(configuration.get("colour_space"))
            camera.start_recording(encoder, _RingOutput(encoder, sink, colour))
            width, height = configuration["main"]["size"]
        except (RuntimeError, OSError) as error:
            self.stop()
            raise _refusal(error, f"the camera does not start with {video} ({error}): try a smaller picture") from error
        return VideoFormat(width, height, video.fps, colour)

    def stop(self) -> None:
        """Stop filming and let go of the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            try:
                camera.stop_recording()
            finally:
                camera.close()


def _look() -> int:
    """Return the board's first camera, by its place in picamera2's list. Raises CameraError if there is none."""
    cameras = Picamera2.global_camera_info()
    for place, camera in enumerate(cameras):
        if "/usb" not in camera["Id"]:
            return place
    _drop_manager()
    raise CameraError(
        errno.ENODEV,
        "no camera is found on the board's connector: turn the power off and seat the ribbon cable at both ends",
    )


def _drop_manager() -> None:
    """Drop libcamera's CameraManager: the next attempt starts another, which looks for cameras again.

    One that runs would learn of a later sensor from udev's multicast, which does not reach a private network namespace.
    It ends with its last reference; picamera2's objects for cameras that did not open wait for the garbage collector.
    """
    if not _manager().cameras:
        libcamera.log_set_level("Camera", "WARN")  # each manager logs its version
        _manager()._cms = None  # noqa: SLF001 - as picamera2 does when its last camera is closed
        gc.collect()


def _manager() -> Any:
    """Return picamera2's holder of libcamera's CameraManager, of which the process has one."""
    return Picamera2._cm  # noqa: SLF001 - there is no other way to it


def _open(place: int) -> Picamera2:
    """Open a camera by its place in picamera2's list."""
    if _manager().cameras:
        # Up to 0.3.36, picamera2 would take the frames of the camera that is open for those of the new one.
        raise CameraError(errno.EIO, "the camera on the board's connector is still open in this process")
    camera = Picamera2.__new__(Picamera2)
    opened = False
    try:
        camera.__init__(place)
        opened = True
    except RuntimeError as error:
        raise _refusal(
            error, f"the camera on the board's connector cannot be opened ({error}): check its cable"
        ) from error
    finally:
        if not opened:
            _undo(camera)
            _drop_manager()
    return camera


def _refusal(error: Exception, message: str) -> CameraError:
    """Return what to raise for an error of libcamera's: EBUSY where another program has a part of the camera."""
    if is_busy(error):
        return CameraError(
            errno.EBUSY,
            "another program uses the camera on the board's connector: stop it (`sudo fuser -v /dev/media*` lists it)",
        )
    return CameraError(errno.EIO, message)


def _undo(camera: Picamera2) -> None:
    """Release all that a failed `__init__` has taken.

    picamera2 keeps the pipe up to 0.3.38, the place in its camera manager up to 0.3.36, and the camera itself if the
    buffers' allocator fails; `atexit` holds on to it.
    """
    atexit.unregister(camera.close)
    taken = vars(camera)
    if taken.get("is_open"):
        camera.camera.release()
    camera.is_open, camera.camera = False, None
    if _manager().cameras.get(taken.get("camera_idx")) is camera:
        _manager().cleanup(taken["camera_idx"])
    if "notifymeread" in taken:
        camera.notifymeread.close()
        os.close(camera.notifyme_w)


def _sensor(camera: Picamera2, video: VideoSettings) -> dict[str, Any]:
    """Return what picamera2 is to set on the sensor; nothing if the choice is its own."""
    size = (video.width, video.height)
    try:
        mode = choose_mode(_modes(camera, size), size, video.fps, video.field_of_view)
    except Exception:
        log.warning("the modes of the camera's sensor cannot be read: it may film a cropped view", exc_info=True)
        return {}
    return {} if mode is None else {"output_size": mode.size, "bit_depth": mode.bit_depth}


def _modes(camera: Picamera2, size: tuple[int, int]) -> list[SensorMode]:
    """Return the modes of the sensor; none if the camera is not one of a Raspberry Pi's.

    As `Picamera2.sensor_modes`, but without the buffers (60 MB for a Camera Module 3) that it allocates for each mode.
    """
    if "ColorFilterArrangement" not in camera.camera_properties:
        return []
    device = camera.camera
    if device.id not in _MODES:
        raw = device.generate_configuration([libcamera.StreamRole.Raw]).at(0).formats
        _MODES[device.id] = [
            _mode(device, size, SensorFormat(str(pixels)).bit_depth, sent)
            for pixels in raw.pixel_formats
            if is_raw(str(pixels))
            for sent in raw.sizes(pixels)
        ]
    return _MODES[device.id]


def _mode(device: Any, size: tuple[int, int], bit_depth: int, sent: Any) -> SensorMode:
    """Configure the sensor for a mode, and read how fast it is and what it sees."""
    configuration = device.generate_configuration([libcamera.StreamRole.VideoRecording])
    configuration.at(0).size = libcamera.Size(*size)
    configuration.sensor_config = libcamera.SensorConfiguration()
    configuration.sensor_config.bit_depth = bit_depth
    configuration.sensor_config.output_size = sent
    configuration.validate()
    device.configure(configuration)
    limits = {control.name: info for control, info in device.controls.items()}
    crop = limits["ScalerCrop"].max
    return SensorMode(
        (sent.width, sent.height), bit_depth, 1e6 / limits["FrameDurationLimits"].min, (crop.width, crop.height)
    )


def _colour(colour_space: Any) -> Colour | None:
    """Return the colours of a libcamera.ColorSpace, whose text is `<libcamera.ColorSpace 'Rec709'>`."""
    return next((colour for name, colour in _COLOURS.items() if f"'{name}'" in str(colour_space)), None)


class _RingOutput(Output):  # type: ignore[misc]  # picamera2 has no type hints
    """Passes packets on, and nothing else: it is called where a delay of 200 ms would starve the camera."""

    def __init__(self, encoder: Encoder, sink: VideoSink, colour: Colour | None = None) -> None:
        super().__init__()
        self._colour = colour
        self._encoder = encoder
        self._sink = sink
        self._times = CaptureTimes("camera")
        self._force_keyframe: Any = None
        self._keyframe_due_ns: int | None = None

    def _add_stream(self, encoder_stream: Any, *_: Any, **__: Any) -> None:
        """Bound libx264, the encoder of a Pi 5, before it is opened; the board's own passes a mere name here.

        libx264 gets the colour description as well. The board's own encoder writes none into its SPS.

        `force_key_frame` (since picamera2 0.3.32) is for the board's own only: libx264's sets `pict_type` to a string,
        which PyAV (14.2 and 18.1) refuses with a TypeError that ends the encoder's thread.
        """
        if hasattr(encoder_stream, "codec_context"):
            encoder_stream.codec_context.options.update(bounds(self._encoder.bitrate))
            if self._colour is not None:
                encoder_stream.codec_context.options.update(colour_options(self._colour))
        else:
            self._force_keyframe = getattr(self._encoder, "force_key_frame", None)

    def outputframe(
        self,
        frame: bytes,
        keyframe: bool = True,
        timestamp: int = 0,
        packet: Any = None,
        audio: bool = False,  # noqa: ARG002
    ) -> None:
        """Take one encoded picture; `timestamp` is in microseconds since the encoder's first picture.

        `firsttimestamp` is that picture's SensorTimestamp: CLOCK_MONOTONIC at the start of its exposure.
        Up to the Pi 4, a buffer of the encoder may be empty, or hold parameter sets and no picture.
        """
        packet = VideoPacket.of(frame, (self._encoder.firsttimestamp + timestamp) * 1000, keyframe)
        if packet.holds_picture:
            packet = packet._replace(pts_ns=self._times.of(packet.pts_ns))
            self._ask_for_keyframe(packet)
            self._sink(packet)

    def _ask_for_keyframe(self, packet: VideoPacket) -> None:
        """Ask for a keyframe if none has come in time: `iperiod` counts frames, and a sensor may be slow."""
        due_ns = self._keyframe_due_ns
        if packet.keyframe or (due_ns is not None and packet.pts_ns >= due_ns):
            self._keyframe_due_ns = packet.pts_ns + _KEYFRAME_LATE_NS
            if not packet.keyframe and self._force_keyframe is not None:
                self._force_keyframe()
