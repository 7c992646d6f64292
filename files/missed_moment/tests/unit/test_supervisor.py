"""What a supervisor is told, and when it has reason to lose patience."""

import errno
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from missed_moment.capture.camera import VideoSink
from missed_moment.capture.meter import FrameMeter
from missed_moment.errors import CameraError
from missed_moment.packets import VideoFormat
from missed_moment.ring import Ring
from missed_moment.services import keeper as keeping
from missed_moment.services.keeper import Keeper
from missed_moment.services.sources import Filming
from missed_moment.services.supervisor import Supervisor
from rig import film, wait_for


def listen(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.settimeout(5)
    return listener


def test_messages_are_those_of_sd_notify(tmp_path: Path) -> None:
    with listen(str(tmp_path / "s")) as listener:
        supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "s")})
        supervisor.ready()
        supervisor.alive()
        supervisor.stopping()
        assert [listener.recv(64) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="abstract sockets are Linux'")
def test_the_abstract_sockets_of_containers_work() -> None:
    with listen("\0missed-moment-test") as listener:
        Supervisor({"NOTIFY_SOCKET": "@missed-moment-test"}).ready()
        assert listener.recv(64) == b"READY=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/s"}])
def test_nobody_has_to_listen(environment: dict[str, str]) -> None:
    Supervisor(environment).alive()


def test_a_supervisor_that_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    with listen(str(tmp_path / "s")):
        supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "s")})
        for _ in range(10_000):
            supervisor.alive()


class OddCamera:
    """Films, or keeps silent, or is not there, or hangs as it is started."""

    name = "odd"

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.starts = 0
        self.released = threading.Event()

    def start(self, sink: VideoSink) -> VideoFormat:
        self.starts += 1
        if self.manner == "missing":
            raise CameraError(errno.ENODEV, "there is no camera")
        if self.manner == "hangs":
            self.released.wait()
        if self.manner == "films":
            for packet in film(seconds=1):
                sink(packet)
        return VideoFormat(320, 240, 30)

    def stop(self) -> None:
        pass


@pytest.fixture
def odd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OddCamera, list[str]]]:
    monkeypatch.setattr(keeping, "START_NS", 50_000_000)
    monkeypatch.setattr(keeping, "SILENCE_NS", 50_000_000)
    monkeypatch.setattr(keeping, "_LOOK_S", 0.01)
    monkeypatch.setattr(keeping, "_OFF_S", 0.01)
    monkeypatch.setattr(keeping, "_BACK_OFF_S", (0.01,))
    camera, signs = OddCamera(request.param), []
    filming = Filming(camera, FrameMeter(), Ring(10, 2**20), lambda _: None)
    keeper = Keeper(filming, lambda _: None, lambda: None, lambda: signs.append("alive"))
    keeper.start()
    if request.param == "off":
        keeper.switch(False)
    yield camera, signs
    camera.released.set()
    keeper.stop(5)


@pytest.mark.parametrize("odd", ["films", "missing", "off"], indirect=True)
def test_patience_is_asked_for_where_a_restart_would_not_help(odd: tuple[OddCamera, list[str]]) -> None:
    wait_for(lambda: len(odd[1]) >= 3)


@pytest.mark.parametrize("odd", ["silent"], indirect=True)
def test_a_camera_that_keeps_silent_is_no_sign_of_life(odd: tuple[OddCamera, list[str]]) -> None:
    camera, signs = odd
    wait_for(lambda: camera.starts >= 4)
    assert signs == []


@pytest.mark.parametrize("odd", ["hangs"], indirect=True)
def test_a_camera_that_hangs_is_no_sign_of_life(odd: tuple[OddCamera, list[str]]) -> None:
    camera, signs = odd
    wait_for(lambda: camera.starts == 1)
    assert not camera.released.wait(0.2)
    assert signs == []
