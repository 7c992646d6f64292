"""What the RAM holds stays in RAM."""

import subprocess
import sys
from pathlib import Path

import pytest

from missed_moment import memory

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def system(tmp_path: Path, swaps: str, **zram: str | None) -> tuple[Path, Path]:
    (tmp_path / "swaps").write_text(HEAD + swaps)
    for name, backing in zram.items():
        (tmp_path / "block" / name).mkdir(parents=True)
        if backing is not None:
            (tmp_path / "block" / name / "backing_dev").write_text(backing + "\n")
    return tmp_path, tmp_path


@pytest.mark.parametrize(
    ("swaps", "zram", "lasting"),
    [
        ("", {}, None),
        ("/dev/zram0 partition 1000 0 100\n", {"zram0": "none"}, None),
        ("/dev/zram0 partition 1000 0 100\n", {"zram0": None}, None),
        ("/dev/zram0 partition 1000 0 100\n", {"zram0": "/dev/loop0"}, "/dev/zram0"),
        ("/dev/mmcblk0p5 partition 1000 0 -2\n", {}, "/dev/mmcblk0p5"),
        ("/var/swap file 1000 0 -2\n", {}, "/var/swap"),
        ("/home/zram0 file 1000 0 -2\n", {}, "/home/zram0"),
        ("/dev/zram0 partition 1 0 100\n/var/swap file 1 0 -2\n", {"zram0": "none"}, "/var/swap"),
    ],
)
def test_only_swap_that_outlasts_a_power_cut_is_a_complaint(
    swaps: str, zram: dict[str, str | None], lasting: str | None, tmp_path: Path
) -> None:
    complaint = memory.complaint(*system(tmp_path, swaps, **zram))
    if lasting is None:
        assert complaint is None
    else:
        assert complaint is not None
        assert f"swapped to {lasting}:" in complaint


@pytest.mark.parametrize(
    ("content", "total"),
    [
        ("MemTotal:         426192 kB\nMemFree:           98004 kB\n", 426192 * 1024),
        ("MemFree: 98004 kB\n", None),
        ("MemTotal:\n", None),
        ("MemTotal: much\n", None),
        (None, None),
    ],
)
def test_the_boards_memory_is_what_the_kernel_counts(content: str | None, total: int | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "meminfo").write_text(content)
    assert memory.total_bytes(tmp_path) == total


def test_where_there_is_no_proc_nothing_is_said(tmp_path: Path) -> None:
    assert memory.complaint(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is locked on Linux")
@pytest.mark.parametrize(("limit", "said"), [("unlimited", "locked"), ("0", "LimitMEMLOCK")])
def test_memory_is_locked_or_it_is_said_why_not(limit: str, said: str) -> None:
    program = """
import os, resource, sys
from missed_moment import memory
from missed_moment.errors import MemoryLockError
limit = sys.argv[1]
size = resource.RLIM_INFINITY if limit == "unlimited" else int(limit)
try:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, size))
except ValueError:
    print("locked")  # not ours to raise here
    sys.exit()
if os.geteuid() == 0:
    os.setuid(65534)
try:
    memory.lock()
    with open("/proc/self/status") as status:
        [kilobytes] = [int(line.split()[1]) for line in status if line.startswith("VmLck:")]
    print("locked" if kilobytes > 1000 else kilobytes)
except MemoryLockError as error:
    print(error)
"""
    command = [sys.executable, "-c", program, limit]
    source = str(Path(memory.__file__).parents[1])
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PYTHONPATH": source})
    assert said in done.stdout, done
