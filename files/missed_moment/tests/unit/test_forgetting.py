"""What is forgotten is not in the process' memory any more: the pictures and sounds carry marks to search it for."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from missed_moment.capture import synthetic, synthetic_microphone
from missed_moment.control import NoRecorderError, ask
from rig import wait_for

SRC, TESTS = Path(__file__).parents[2] / "src", Path(__file__).parents[1]
# As the service sets them: what is freed is written over.
FREED_IS_GONE = {"GLIBC_TUNABLES": "glibc.malloc.perturb=90:glibc.malloc.tcache_count=0", "PYTHONMALLOC": "malloc"}
FIVE_SECONDS = "[video]\nwidth = 320\nheight = 240\n[moment]\nbefore_s = 5\n"
PICTURE = re.compile(re.escape(synthetic.MARK) + rb"(\d{10})")


def memory_of(pid: int) -> bytes:
    """Return all that a process could read of its own memory."""
    found = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(address, 16) for address in line.split()[0].split("-"))
            if line.split()[1].startswith("r") and not line.endswith(("[vvar]", "[vvar_vclock]", "[vsyscall]")):
                with suppress(OSError):  # given back since
                    while begin < end and (part := os.pread(memory.fileno(), min(end - begin, 1 << 24), begin)):
                        found.append(part)
                        begin += len(part)
    return b"".join(found)


def filmed_s(socket: Path) -> float:
    """Return how many seconds are in the ring of the recorder at `socket`, 0 before there is one."""
    try:
        return float(ask(socket, "status")["ring"]["seconds"])
    except NoRecorderError:
        return 0


@contextmanager
def filming(command: Sequence[str | Path], socket: Path, *path: Path) -> Iterator[tuple[int, bytes]]:
    """Start a recorder, and give its process and its memory once that holds pictures and sound."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SRC, *path))), **FREED_IS_GONE}
    with subprocess.Popen(command, env=environment) as recorder:
        try:
            wait_for(lambda: filmed_s(socket) >= 4)
            before = memory_of(recorder.pid)
            assert len(pictures_in(before)) >= 100
            assert before.count(synthetic_microphone.MARK) >= 150
            yield recorder.pid, before
        finally:
            recorder.terminate()
            recorder.wait(30)


def pictures_in(memory: bytes) -> set[int]:
    return {int(number) for number in PICTURE.findall(memory)}


# Presses a button that stays down, or one that was released so that the moment is being written, and forgets.
HOLDER = """
import sys
from pathlib import Path
from rig import filled, recording, wait_for

down = sys.argv[2] == "down"
with recording(Path(sys.argv[1]), before_s=4, after_s=30, limit_s=60) as recorder:
    filled(recorder, 3)
    pressed_ns = recorder.press(down=down)
    wait_for(lambda: down or recorder._saver.orders()[0].kept)
    print("pressed", flush=True)
    sys.stdin.readline()
    seen = recorder.status().frames.seen
    recorder.forget(pressed_ns).wait()
    print(seen, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
@pytest.mark.parametrize("button", ["down", "released"])
def test_what_a_press_has_taken_is_not_in_memory_after_a_hold(button: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{SRC}:{SRC.parent / 'tests'}", **FREED_IS_GONE}
    command = [sys.executable, "-c", HOLDER, str(tmp_path), button]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "pressed\n"
        assert len(pictures_in(memory_of(holder.pid))) >= 80
        holder.stdin.write("forget\n")
        holder.stdin.flush()
        last = int(holder.stdout.readline())
        left = pictures_in(memory_of(holder.pid))
        holder.stdin.close()
        assert holder.wait(60) == 0
    assert min(left, default=last) >= last - 3
    assert not any(synthetic.MARK in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_what_is_forgotten_is_not_in_memory(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(FIVE_SECONDS)
    socket = tmp_path / "control.sock"
    command = [sys.executable, "-m", "missed_moment", "run", "--camera", "synthetic", "--socket", str(socket)]
    command += ["--config", str(tmp_path / "settings.toml"), "--store", str(tmp_path / "clips")]
    with filming(command, socket) as (pid, before):
        last = ask(socket, "status")["frames"]["seen"]
        ask(socket, "forget")
        after = memory_of(pid)
        assert len(after) > len(before) / 2, "its memory could not be read"
        # A picture or two may have been in the encoder's hands.
        assert min(pictures_in(after), default=last) >= last - 3
        assert after.count(synthetic_microphone.MARK) < 100
    assert not any(synthetic.MARK in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_what_an_unplugged_camera_and_microphone_recorded_leaves_memory_when_its_time_is_over(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(FIVE_SECONDS)
    socket, unplug = tmp_path / "control.sock", tmp_path / "unplug"
    command = [sys.executable, "-m", "unplugging", tmp_path / "clips", socket, tmp_path / "settings.toml", unplug]
    with filming(command, socket, TESTS) as (pid, before):
        unplug.touch()
        wait_for(lambda: ask(socket, "status")["ring"]["bytes"] == 0)
        after = memory_of(pid)
        assert len(after) > len(before) / 2, "its memory could not be read"
        assert pictures_in(after) == set()
        assert after.count(synthetic_microphone.MARK) < 10  # some of it is the microphone's own pattern
