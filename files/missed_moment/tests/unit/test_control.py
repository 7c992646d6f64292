"""The control socket: who may ask, what is answered, and what nonsense does."""

import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from missed_moment import control
from missed_moment.control import ControlServer, NoRecorderError, ask
from missed_moment.errors import ControlError, StoreError


def refuse(_: object) -> dict[str, object]:
    raise StoreError("no room: plug in a stick")


@pytest.fixture
def path() -> Iterator[Path]:
    """A socket that anyone could reach: pytest's own directories are closed to other users."""
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        yield from serving(Path(open_to_all))


def serving(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(
        tmp_path / "s", {"echo": lambda request: {"you said": request.get("word")}, "refuse": refuse}
    )
    server.start()
    yield tmp_path / "s"
    server.stop()
    assert not (tmp_path / "s").exists()


def raw(path: Path, data: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return json.loads(connection.makefile("rb").readline())


def test_a_request_is_answered(path: Path) -> None:
    assert ask(path, "echo", word="press") == {"you said": "press"}


def test_a_refusal_is_told(path: Path) -> None:
    with pytest.raises(ControlError, match="plug in a stick"):
        ask(path, "refuse")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b'{"command": []}\n',
        b'{"command": "rm"}\n',
        b"\xff\n",
        b'{"command": NaN}\n',
        b"[" * 60_000 + b"\n",
    ],
)
def test_nonsense_is_answered_with_what_there_is_and_does_no_harm(path: Path, data: bytes) -> None:
    assert "echo, refuse" in str(raw(path, data)["error"])
    assert ask(path, "echo", word=1) == {"you said": 1}


def test_a_silent_peer_does_not_block_the_others(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(path))
        assert ask(path, "echo", word=1) == {"you said": 1}


def test_many_may_ask_at_once(path: Path) -> None:
    answers: list[dict[str, object]] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(path, "echo", word=1))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == [{"you said": 1}] * 20


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="only Linux tells who is asking")
def test_strangers_are_refused_by_the_kernels_word(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert control._may_ask(0)
    assert control._may_ask(os.getuid())
    assert not control._may_ask(54321)
    monkeypatch.setattr(control, "_may_ask", lambda uid: uid != os.getuid())
    with pytest.raises(ControlError, match="may not ask"):
        ask(path, "echo")


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become somebody else")
def test_a_real_stranger_is_refused(path: Path) -> None:
    """As another user, through a socket whose mode would let them in."""
    path.chmod(0o666)
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(send, str(raw(path, b'{"command": "echo"}\n')).encode())
        finally:
            os._exit(0)  # whatever happens, the child is not another test run
    os.close(send)
    assert b"may not ask" in os.read(receive, 4096)
    os.waitpid(child, 0)


def test_a_second_recorder_does_not_take_the_socket(path: Path) -> None:
    with pytest.raises(ControlError, match="does a recorder run already"):
        ControlServer(path, {}).start()
    assert ask(path, "echo", word=1) == {"you said": 1}


def test_what_a_killed_recorder_left_is_no_obstacle(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    server = ControlServer(tmp_path / "s", {"echo": lambda _: {}})
    server.start()
    assert ask(tmp_path / "s", "echo") == {}
    server.stop()


def test_where_nobody_listens_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoRecorderError, match="is it running"):
        ask(tmp_path / "s", "status")


def test_a_recorder_that_is_missing_is_told_without_numbers(tmp_path: Path) -> None:
    with pytest.raises(ControlError) as refusal:
        ask(tmp_path / "control.sock", "status")
    assert "(No such file or directory)" in str(refusal.value)
    assert "[Errno" not in str(refusal.value)


def test_more_requests_than_threads_wait_for_their_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of silent peers end within the patience, and no more threads run than are allowed."""
    monkeypatch.setattr(control._Handler, "timeout", 0.5)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(control._MOST_AT_ONCE)]
    try:
        before = threading.active_count()
        for peer in silent:
            peer.connect(str(path))
        assert ask(path, "echo", word=1) == {"you said": 1}
        assert threading.active_count() <= before + control._MOST_AT_ONCE
    finally:
        for peer in silent:
            peer.close()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 3, True, "1", [], {}, 10**400])
def test_a_number_of_a_request_is_one_that_makes_sense(value: object) -> None:
    with pytest.raises(ControlError, match="copied must be a number from 0 to 2"):
        control.number({"copied": value}, "copied", 0, 2)


def test_a_request_need_not_have_all_keys() -> None:
    assert control.number({}, "copied", 0, 1) == 0
    assert control.text({}, "name", 3) == ""
    assert control.text({"name": "abcdef"}, "name", 3) == "abc"
    with pytest.raises(ControlError, match="name must be a text"):
        control.text({"name": 3}, "name", 3)
