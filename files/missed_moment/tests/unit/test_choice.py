"""Which camera is tried next, which nodes are cameras, and what the owner reads if none films."""

import errno
import sys
from pathlib import Path

import pytest

from missed_moment.capture import choice, v4l2, webcam
from missed_moment.capture.choice import CameraChooser, Candidate, choose_camera
from missed_moment.capture.v4l2 import Capability
from missed_moment.capture.webcam import Node, WebcamCamera
from missed_moment.errors import CameraError
from rig import SMALL_SETTINGS


def candidate(key: str) -> Candidate:
    return Candidate(key, key, lambda: pytest.fail("nothing is opened here"))


def keys(chooser: CameraChooser) -> list[str]:
    return [each.key for each in chooser.candidates()]


def first(chooser: CameraChooser) -> Candidate:
    return next(iter(chooser.candidates()))


def test_each_candidate_gets_one_attempt_a_round() -> None:
    chooser = CameraChooser(lambda: [candidate(key) for key in "abc"])
    assert [first(chooser).key for _ in range(5)] == ["a", "b", "c", "a", "b"]
    assert keys(chooser) == ["c"]
    assert keys(chooser) == ["a", "b", "c"]


def test_a_camera_that_filmed_is_the_first_to_be_tried_again() -> None:
    chooser = CameraChooser(lambda: [candidate(key) for key in "abc"])
    first(chooser)
    films = first(chooser)
    chooser.filmed(films)
    assert keys(chooser) == ["b", "a", "c"]


def test_a_camera_that_appears_later_is_tried_and_one_that_went_is_not() -> None:
    there = ["a"]
    chooser = CameraChooser(lambda: [candidate(key) for key in there])
    assert keys(chooser) == ["a"]
    there[:] = ["a", "b"]
    assert keys(chooser) == ["b"]
    there[:] = ["b"]
    assert keys(chooser) == ["b"]


def test_a_switch_turned_off_before_the_first_frame_costs_no_turn() -> None:
    chooser = CameraChooser(lambda: [candidate(key) for key in "ab"])
    chooser.started(first(chooser))
    chooser.postponed()
    assert keys(chooser) == ["a", "b"]


def test_a_camera_that_blocked_the_whole_process_is_tried_last_by_the_next_one(tmp_path: Path) -> None:
    note, there = tmp_path / "note", [candidate("board"), candidate("webcam")]
    before = CameraChooser(lambda: there, note)
    blocked = first(before)
    with before.attempt(blocked):
        after = CameraChooser(lambda: there, note)
    assert keys(after) == ["webcam"]
    assert keys(after) == ["board", "webcam"]
    assert keys(CameraChooser(lambda: there, note)) == ["board", "webcam"], "the call has returned"
    with CameraChooser(lambda: there, tmp_path / "nowhere" / "note").attempt(blocked):
        pass


def refused(*errors: CameraError) -> CameraError:
    chooser = CameraChooser(lambda: [candidate(str(number)) for number in range(len(errors))])
    for each, error in zip(chooser.candidates(), errors, strict=True):
        chooser.refused(each, error)
    return chooser.error()


ABSENT = CameraError(errno.ENODEV, "no webcam is found")
BUSY = CameraError(errno.EIO, "the webcam is busy")
HELD = CameraError(errno.EBUSY, "another program uses it")
BLOCKED = CameraError(errno.ETIMEDOUT, "the webcam does not answer")


@pytest.mark.parametrize(
    ("errors", "number", "message"),
    [
        ((ABSENT, ABSENT), errno.ENODEV, "no camera films: no webcam is found"),
        ((ABSENT, BUSY), errno.EIO, "no camera films: the webcam is busy"),
        ((ABSENT, HELD), errno.EBUSY, "no camera films: another program uses it"),
        ((BUSY, HELD), errno.EIO, "no camera films: the webcam is busy; another program uses it"),
        ((BUSY, BLOCKED, ABSENT), errno.ETIMEDOUT, "no camera films: the webcam is busy; the webcam does not answer"),
    ],
)
def test_all_refusals_are_one_error_and_only_absent_hardware_is_enodev(
    errors: tuple[CameraError, ...], number: int, message: str
) -> None:
    error = refused(*errors)
    assert (error.errno, error.strerror) == (number, message)


def test_refusals_of_cameras_that_went_are_forgotten() -> None:
    there = ["a", "b"]
    chooser = CameraChooser(lambda: [candidate(key) for key in there])
    for each in chooser.candidates():
        chooser.refused(each, CameraError(errno.EIO, f"{each.key} is busy"))
    there.remove("a")
    keys(chooser)
    assert chooser.error().strerror == "no camera films: b is busy"


def names(chooser: CameraChooser) -> list[tuple[str, str]]:
    return [(each.key, each.name) for each in chooser.candidates()]


def test_auto_tries_the_boards_camera_before_webcams_and_looks_again_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [Node("usb1", Path("/dev/video0"))]
    monkeypatch.setattr(webcam, "nodes", lambda: nodes)
    chooser = choose_camera("auto", SMALL_SETTINGS)
    assert chooser.name == "none"
    assert names(chooser) == [("board", "picamera2"), ("usb1", "webcam")]
    nodes[:] = [Node("usb1", Path("/dev/video1")), Node("usb2", Path("/dev/video2"))]
    assert names(chooser) == [("usb2", "webcam")]
    moved = {each.key: each.make() for each in chooser.candidates() if each.key != "board"}
    assert isinstance(moved["usb1"], WebcamCamera)
    assert moved["usb1"]._path == Path("/dev/video1")


@pytest.mark.parametrize(("kind", "expected"), [("webcam", ["webcam"]), ("picamera2", ["picamera2"])])
def test_a_kind_asked_for_by_name_is_the_only_one(
    kind: choice.Kind, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webcam, "nodes", lambda: [Node("usb1", Path("/dev/video0"))])
    assert [name for _, name in names(choose_camera(kind, SMALL_SETTINGS))] == expected


def test_the_synthetic_camera_is_a_choice_of_one() -> None:
    chooser = choose_camera("synthetic", SMALL_SETTINGS)
    assert chooser.name == "synthetic"
    assert names(chooser) == [("synthetic", "synthetic")]


@pytest.mark.parametrize("kind", ["auto", "picamera2"])
def test_a_picamera2_that_cannot_be_imported_is_absent_hardware_with_advice(
    kind: choice.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webcam, "nodes", list)
    monkeypatch.setitem(sys.modules, "picamera2", None)
    chooser = choose_camera(kind, SMALL_SETTINGS)
    for each in chooser.candidates():
        with pytest.raises(CameraError) as error:
            each.make()
        chooser.refused(each, error.value)
    error = chooser.error()
    assert error.errno == errno.ENODEV
    assert "apt install python3-picamera2" in error.strerror
    assert ("plug one in" in error.strerror) is (kind == "auto")


PI_5 = b"raspberrypi,5-model-b\0brcm,bcm2712\0"


@pytest.mark.parametrize(
    ("compatible", "card", "ready"),
    [
        (PI_5, "pispbe", True),
        (b"raspberrypi,4-model-b\0brcm,bcm2711\0", "bcm2835-isp", True),
        (PI_5, "rp1-cfe", False),
        (PI_5, None, False),
        (b"radxa,rock-5b\0", None, True),
        (None, None, True),
    ],
)
def test_picamera2_is_imported_on_a_raspberry_pi_only_once_its_image_processor_answers(
    compatible: bytes | None, card: str | None, ready: bool, tmp_path: Path
) -> None:
    def query(path: Path) -> Capability:
        if path.name == "video0":
            raise OSError(errno.ENODEV, "it is going")
        return Capability("driver", str(card), 0)

    for name in ("video0", *(["video20"] if card else [])):
        (tmp_path / name).touch()
    if compatible is not None:
        (tmp_path / "compatible").write_bytes(compatible)
    if ready:
        choice.require_isp(tmp_path, tmp_path / "compatible", query)
    else:
        with pytest.raises(CameraError, match="not loaded yet") as refused:
            choice.require_isp(tmp_path, tmp_path / "compatible", query)
        assert refused.value.errno == errno.ENODEV


def test_picamera2_is_not_imported_before_the_image_processor_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_yet() -> None:
        raise CameraError(errno.ENODEV, "not loaded yet")

    monkeypatch.setattr(webcam, "nodes", list)
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(choice, "require_isp", not_yet)
    camera = first(choose_camera("picamera2", SMALL_SETTINGS))
    with pytest.raises(CameraError, match="not loaded yet"):
        camera.make()
    monkeypatch.setattr(choice, "require_isp", lambda: None)
    with pytest.raises(CameraError, match="cannot be imported"):
        camera.make()


CAPTURE = v4l2.VIDEO_CAPTURE | v4l2.STREAMING


@pytest.mark.parametrize(
    ("capability", "films"),
    [
        (Capability("uvcvideo", "HD Cam", CAPTURE), True),
        (Capability("vivid", "vivid", CAPTURE | 0x01200000), True),
        (Capability("uvcvideo", "HD Cam", v4l2.META_CAPTURE | v4l2.STREAMING), False),
        (Capability("bcm2835-codec", "bcm2835-codec-decode", v4l2.VIDEO_M2M_MPLANE | v4l2.STREAMING), False),
        (Capability("some codec", "it", CAPTURE | v4l2.VIDEO_M2M), False),
        (Capability("rpi-hevc-dec", "rpi-hevc-dec", v4l2.VIDEO_M2M_MPLANE | v4l2.STREAMING), False),
        (Capability("bcm2835-isp", "bcm2835-isp", CAPTURE), False),
        (Capability("pispbe", "pispbe", v4l2.VIDEO_CAPTURE_MPLANE | v4l2.STREAMING), False),
        (Capability("unicam", "unicam", CAPTURE), False),
        (Capability("rp1-cfe", "rp1-cfe", CAPTURE | v4l2.META_CAPTURE | v4l2.IO_MC), False),
        (Capability("another pipeline", "it", CAPTURE | v4l2.IO_MC), False),
    ],
)
def test_only_nodes_that_film_by_themselves_are_cameras(capability: Capability, films: bool) -> None:
    assert capability.films is films


@pytest.mark.parametrize(
    "answer",
    [
        Capability("bcm2835-codec", "bcm2835-codec-decode", v4l2.VIDEO_M2M_MPLANE),
        OSError(errno.ENOTTY, "Inappropriate ioctl for device"),
        OSError(errno.ENODEV, "No such device"),
    ],
)
def test_a_node_that_cannot_capture_is_never_opened_for_capture(answer: Capability | OSError) -> None:
    def query(_: Path) -> Capability:
        if isinstance(answer, OSError):
            raise answer
        return answer

    camera = WebcamCamera(SMALL_SETTINGS, Path("/dev/video10"), lambda *_, **__: pytest.fail("it was opened"), query)
    with pytest.raises(CameraError) as refused:
        camera.start(lambda _: None)
    assert refused.value.errno == errno.ENODEV
    assert refused.value.strerror == webcam.NO_WEBCAM


def test_a_node_that_may_not_be_opened_is_no_absent_hardware() -> None:
    def query(_: Path) -> Capability:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(CameraError, match="Permission denied") as refused:
        WebcamCamera(SMALL_SETTINGS, Path("/dev/video0"), query=query).start(lambda _: None)
    assert refused.value.errno == errno.EIO


def test_the_kernel_is_asked_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def ioctl(_: int, request: int, buffer: bytes) -> bytes:
        asked.append(request)
        head = b"uvcvideo".ljust(16, b"\0") + b"HD Cam".ljust(32, b"\0") + b"usb-1".ljust(32, b"\0")
        numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in (0x60C00, 0x84A00001, 0x04200001))
        return (head + numbers).ljust(len(buffer), b"\0")

    (tmp_path / "video0").touch()
    monkeypatch.setattr(v4l2.fcntl, "ioctl", ioctl)
    assert v4l2.query(tmp_path / "video0") == Capability("uvcvideo", "HD Cam", 0x04200001)
    assert asked == [0x80685600]  # VIDIOC_QUERYCAP on every Linux architecture that a Pi runs


def plug(sysfs: Path, dev: Path, number: int, device: Path, index: int = 0) -> None:
    device.mkdir(parents=True, exist_ok=True)
    entry = sysfs / f"video{number}"
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(device)
    (entry / "index").write_text(f"{index}\n")
    (dev / f"video{number}").touch()


def test_a_webcam_keeps_its_key_when_its_node_moves_and_comes_before_the_boards_nodes(tmp_path: Path) -> None:
    dev, sysfs = tmp_path / "dev", tmp_path / "class"
    dev.mkdir()
    codec, usb = tmp_path / "platform/bcm2835-codec", tmp_path / "pci/usb1/1-1/1-1:1.0"
    plug(sysfs, dev, 10, codec)
    plug(sysfs, dev, 11, codec, 1)
    plug(sysfs, dev, 20, usb)
    before = webcam.nodes(dev, sysfs)
    assert [node.path.name for node in before] == ["video20", "video10", "video11"]
    assert len({node.key for node in before}) == 3
    (dev / "video20").unlink()
    plug(sysfs, dev, 9, usb)
    after = webcam.nodes(dev, sysfs)
    assert after[0].path.name == "video9"
    assert after[0].key == before[0].key
