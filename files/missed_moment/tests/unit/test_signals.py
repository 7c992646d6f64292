"""SIGTERM at each system call of the exporter, on a stick that the kernel has mounted: nothing of anybody's is lost.

MISSED_MOMENT_SIGNALS sets at how many points, spread evenly; `make prove` tries 1000.
"""

import ctypes
import hashlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.export import mounts
from missed_moment.export.handover import FOLDER
from rig import store_moment

POINTS = int(os.environ.get("MISSED_MOMENT_SIGNALS", "12"))
SIZE = 24 << 20
FOREIGN = {"letter.txt": b"Dear Sir,\n", "holiday/beach.jpg": bytes(range(256)) * 40}

# From <sys/ptrace.h>.
_DETACH, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 17, 24, 0x4200, 0x420E
_ENTRY = struct.Struct(
    "<B3xIQQQ"
)  # of struct ptrace_syscall_info: op (1 before, 2 after), arch, ip, sp, number of the call
_TRACESYSGOOD, _EXITKILL = 1, 1 << 20
_STOPPED_AT_CALL = signal.SIGTRAP | 0x80
_MOUNTS = {"x86_64": {165, 166}, "aarch64": {40, 39}}.get(os.uname().machine, set())
"""mount(2) and umount2(2)."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not Path("/dev/loop-control").exists(),
    reason="needs root and loop devices",
)


@dataclass
class Rig:
    """A store, and the image of a stick as it is plugged in each time."""

    place: Path
    pristine: bytes

    @property
    def store(self) -> Path:
        return self.place / "clips"

    def clips(self) -> set[str]:
        return {hashlib.sha256(moment.clip.read_bytes()).hexdigest() for moment in self.catalogue.moments()}

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.store, LocalDisk())


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    place = tmp_path_factory.mktemp("signals")
    for _ in range(2):
        store_moment(place / "clips", seconds=1)
    for name, content in FOREIGN.items():
        (place / "foreign" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "foreign" / name).write_bytes(content)
    with (place / "image").open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", place / "foreign", place / "image"], check=True)
    return Rig(place, (place / "image").read_bytes())


@contextmanager
def plugged(rig: Rig) -> Iterator[Path]:
    """Plug in a pristine stick."""
    (rig.place / "image").write_bytes(rig.pristine)
    attach = ["losetup", "--find", "--show", rig.place / "image"]
    loop = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield Path(loop)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


@dataclass
class Run:
    """How many stops the exporter made, how many of them at a mount or unmount, and what was told."""

    stops: int = 0
    mounting: int = 0
    told: list[str] = field(default_factory=list)


def export(rig: Rig, loop: Path, stop: int = 0, mounting: int = 0) -> Run:
    """Run the exporter, with SIGTERM at its `stop`-th stop, or at the `mounting`-th of those at a mount or unmount.

    Each system call has one stop before it and one after it. What they are is not the same each time: threads wait
    for one another.
    """
    script = Path(__file__).parents[1] / "exporting.py"
    arguments = ["unshare", "--mount", sys.executable, script, loop, str(SIZE), rig.store]
    (rig.place / "tmp").mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(rig.place / "tmp"), "PYTHONPATH": os.pathsep.join(sys.path)}
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    with subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, text=True) as process:
        run, status = Run(), os.waitpid(process.pid, 0)[1]
        entry, mounts_now = ctypes.create_string_buffer(_ENTRY.size), False
        assert os.WIFSTOPPED(status), "the exporter did not begin"
        ptrace(_SETOPTIONS, process.pid, None, _TRACESYSGOOD | _EXITKILL)
        passed_on = 0
        while not os.WIFEXITED(status) and not os.WIFSIGNALED(status):
            ptrace(_SYSCALL, process.pid, None, passed_on)
            status, passed_on = os.waitpid(process.pid, 0)[1], 0
            if os.WIFSTOPPED(status) and os.WSTOPSIG(status) != _STOPPED_AT_CALL:
                passed_on = os.WSTOPSIG(status)
            elif os.WIFSTOPPED(status):
                run.stops += 1
                ptrace(_GET_SYSCALL_INFO, process.pid, len(entry), entry)
                operation, *_, number = _ENTRY.unpack(entry.raw)
                mounts_now = (operation == 1 and number in _MOUNTS) or (operation == 2 and mounts_now)
                run.mounting += mounts_now
                if run.stops == stop or (mounts_now and run.mounting == mounting):
                    os.kill(process.pid, signal.SIGTERM)  # to the process, as systemd sends it, not to its thread
                    ptrace(_DETACH, process.pid, None, None)
                    status = os.waitpid(process.pid, 0)[1]
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.stdout is not None
        told = run.told = process.stdout.read().splitlines()
    # Before the exporter listens, and after it has told all, the signal ends it as it ends any process.
    assert process.returncode == 0 or (process.returncode == -signal.SIGTERM and told[-1:] in ([], ["none "])), told
    return run


@contextmanager
def looked_at(rig: Rig, loop: Path) -> Iterator[Path]:
    """Mount a stick where its owner sees it."""
    place = rig.place / "owner"
    place.mkdir(exist_ok=True)
    mounts.mount(loop, place, "ext4", "")
    try:
        yield place
    finally:
        mounts.unmount(place)


@pytest.fixture(scope="module")
def unpulled(rig: Rig) -> Run:
    """What happens when nobody pulls the stick."""
    with plugged(rig) as loop:
        run = export(rig, loop)
    assert run.told == ["copying ", "done ", "none "]
    return run


@pytest.mark.parametrize("point", range(POINTS))
def test_sigterm_at_any_system_call(point: int, rig: Rig, unpulled: Run) -> None:
    assert_nothing_is_lost(rig, stop=1 + point * unpulled.stops // POINTS)


@pytest.mark.skipif(not _MOUNTS, reason="the numbers of its system calls are not known here")
def test_sigterm_at_each_mount_and_unmount(rig: Rig, unpulled: Run) -> None:
    """The instants at which a stick is mounted and its exporter does not know yet, or is not mounted any longer."""
    assert unpulled.mounting == 8
    for number in range(1, 9):
        assert_nothing_is_lost(rig, mounting=number)


def assert_nothing_is_lost(rig: Rig, **when: int) -> None:
    """Send SIGTERM once, then look at the stick and at the store."""
    before = rig.clips()
    for moment in rig.catalogue.moments():
        (moment.path / "exported.json").unlink(missing_ok=True)
    with plugged(rig) as loop:
        told = export(rig, loop, **when).told
        assert not told or told[-1].startswith("none")
        with looked_at(rig, loop) as stick:
            for name, content in FOREIGN.items():
                assert (stick / name).read_bytes() == content
            copies = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (stick / FOLDER).glob("*.mp4")}
    assert copies <= before  # whatever has a clip's name is whole
    assert rig.clips() == before
    exported = {moment.exported.sha256 for moment in rig.catalogue.moments() if moment.exported}
    assert exported <= copies
    assert list((rig.place / "tmp").iterdir()) == []
