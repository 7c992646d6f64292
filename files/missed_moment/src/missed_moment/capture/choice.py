"""Which camera films, and which microphone records.

A camera is chosen again at each attempt, until one delivers frames: a sensor or a webcam may appear later, and a webcam
may come back under another name.
"""

import errno
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from missed_moment.capture import v4l2, webcam
from missed_moment.capture.alsa import AlsaMicrophone
from missed_moment.capture.camera import Camera
from missed_moment.capture.microphone import Microphone
from missed_moment.capture.synthetic import SyntheticCamera
from missed_moment.capture.synthetic_microphone import SyntheticMicrophone
from missed_moment.config import SoundSettings, VideoSettings
from missed_moment.errors import CameraError

Kind = Literal["auto", "picamera2", "webcam", "synthetic"]

_ISPS = frozenset({"pispbe", "bcm2835-isp"})
"""The image processors of the Raspberry Pi 5 and of those before it, by the names that picamera2 looks for."""


class Candidate(NamedTuple):
    """A camera that may film. `key` identifies the hardware, however its node is called now."""

    key: str
    name: str
    make: Callable[[], Camera]


class _Refusal(NamedTuple):
    errno: int
    message: str


class CameraChooser:
    """The order in which cameras are tried, and the reasons why none of them films. Opens nothing itself.

    Each candidate gets one attempt a round. The one that filmed last comes first; the others keep their order.
    """

    def __init__(self, find: Callable[[], Sequence[Candidate]], note: Path | None = None) -> None:
        """Set up; `find` lists the candidates there are at the moment.

        `note` is a file in RAM that outlives this process. libcamera's bindings keep Python's lock during each call:
        one that blocks stops every thread, and systemd's watchdog ends the process. The file then names the camera,
        and the next process tries all others before it.
        """
        self.name = "none"
        self._find = find
        self._note = note
        self._tried = _read(note)
        self._refusals: dict[str, _Refusal] = {}
        self._filmed: str | None = None

    @classmethod
    def of(cls, camera: Camera) -> "CameraChooser":
        """Return a choice of one."""
        chooser = cls(lambda: [Candidate(camera.name, camera.name, lambda: camera)])
        chooser.name = camera.name
        return chooser

    def candidates(self) -> Iterator[Candidate]:
        """Yield the candidates that had no attempt in this round; if all of them had one, a new round begins."""
        there = sorted(self._find(), key=lambda candidate: candidate.key != self._filmed)
        keys = {candidate.key for candidate in there}
        self._refusals = {key: refusal for key, refusal in self._refusals.items() if key in keys}
        if keys <= self._tried:
            self._tried.clear()
        for candidate in [candidate for candidate in there if candidate.key not in self._tried]:
            self._tried.add(candidate.key)
            yield candidate

    @contextmanager
    def attempt(self, candidate: Candidate) -> Iterator[None]:
        """Note the camera while it is being started."""
        if self._note is not None:
            with suppress(OSError):
                self._note.write_text(candidate.key)
        try:
            yield
        finally:
            if self._note is not None:
                with suppress(OSError):
                    self._note.unlink(missing_ok=True)

    def started(self, candidate: Candidate) -> None:
        """Note the camera that was started. It has not delivered a frame yet."""
        self.name = candidate.name

    def filmed(self, candidate: Candidate) -> None:
        """Note that a camera delivered frames: the next attempt begins with it."""
        self._filmed = candidate.key
        self._tried.clear()
        self._refusals.clear()

    def refused(self, candidate: Candidate, error: CameraError) -> None:
        """Note why a candidate does not film. ENODEV as errno: it is absent; EBUSY: another program holds it."""
        self._refusals[candidate.key] = _Refusal(error.errno or errno.EIO, error.strerror or str(error))

    def postponed(self) -> None:
        """Begin a new round: the last attempt ended because the camera was switched off."""
        self._tried.clear()

    def error(self) -> CameraError:
        """Return one error for all candidates: the errno is that of the worst.

        ENODEV if there is no hardware, EBUSY if other programs hold all of it, ETIMEDOUT if some of it blocks.
        """
        present = [refusal for refusal in self._refusals.values() if refusal.errno != errno.ENODEV]
        refusals = present or list(self._refusals.values())
        numbers = {refusal.errno for refusal in refusals}
        if errno.ETIMEDOUT in numbers:
            number = errno.ETIMEDOUT
        elif numbers == {errno.EBUSY}:
            number = errno.EBUSY
        else:
            number = errno.EIO if present else errno.ENODEV
        messages = dict.fromkeys(refusal.message for refusal in refusals)
        return CameraError(number, "no camera films: " + "; ".join(messages))


def choose_camera(kind: Kind, video: VideoSettings, note: Path | None = None) -> CameraChooser:
    """Return the choice of cameras of a kind: `auto` tries the board's camera first, then webcams. Opens nothing.

    `note`: see `CameraChooser`.
    """
    if kind == "synthetic":
        return CameraChooser.of(SyntheticCamera(video))
    board = [Candidate("board", "picamera2", lambda: _board_camera(video))] if kind != "webcam" else []

    def find() -> list[Candidate]:
        nodes = webcam.nodes() if kind != "picamera2" else []
        found = [*board, *(_webcam_candidate(node, video) for node in nodes)]
        return found if nodes or kind == "picamera2" else [*found, Candidate("no webcam", "webcam", _no_webcam)]

    return CameraChooser(find, note)


def choose_microphone(kind: Kind, sound: SoundSettings) -> Microphone | None:
    """Make the microphone that goes with a kind of camera; None where no sound is wanted. Opens nothing yet."""
    if not sound.enabled:
        return None
    return SyntheticMicrophone() if kind == "synthetic" else AlsaMicrophone(sound.device)


def _read(note: Path | None) -> set[str]:
    try:
        return set() if note is None else {note.read_text()}
    except (OSError, ValueError):
        return set()


def _webcam_candidate(node: webcam.Node, video: VideoSettings) -> Candidate:
    return Candidate(node.key, "webcam", lambda: webcam.WebcamCamera(video, node.path))


def _no_webcam() -> Camera:
    raise CameraError(errno.ENODEV, webcam.NO_WEBCAM)


def require_isp(
    dev: Path = Path("/dev"),
    compatible: Path = Path("/proc/device-tree/compatible"),
    query: Callable[[Path], v4l2.Capability] = v4l2.query,
) -> None:
    """Raise CameraError (ENODEV) on a Raspberry Pi whose image processor has no device node yet.

    picamera2 chooses its encoder once, when it is imported, by the nodes there are then (picamera2/platform.py). If
    none is that of a Pi 5, the encoder is the Pi 4's, which a Pi 5 does not have, for as long as the process runs.
    """
    try:
        if b"raspberrypi," not in compatible.read_bytes():
            return
    except OSError:
        return
    for path in dev.glob("video[0-9]*"):
        with suppress(OSError):
            if query(path).card in _ISPS:
                return
    raise CameraError(
        errno.ENODEV,
        "the camera's drivers are not loaded yet: none of /dev/video* is the board's image processor. If this stays "
        "so, reboot, and look at `journalctl -k`",
    )


def _board_camera(video: VideoSettings) -> Camera:
    if "picamera2.platform" not in sys.modules:
        require_isp()
    try:
        from missed_moment.capture.picamera2 import Picamera2Camera  # noqa: PLC0415 - not everywhere
    except ImportError as error:
        raise CameraError(
            errno.ENODEV,
            f"picamera2 cannot be imported ({error}): on a Raspberry Pi, run `sudo apt install python3-picamera2`",
        ) from error
    return Picamera2Camera(video)
