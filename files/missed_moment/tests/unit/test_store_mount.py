"""The store's file system may be mounted later than the recorder starts."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from missed_moment.services.store_mount import mount_point, wait_for_mount

_FSTAB = """\
# LABEL=old /data ext4 defaults 0 0
PARTUUID=1-02 / ext4 ro 0 1
PARTUUID=1-03 /data ext4 rw,nofail 0 2
"""


@pytest.mark.parametrize(
    ("store", "place"),
    [("/data/clips", "/data"), ("/data", "/data"), ("/database/clips", None), ("/home/pi/clips", None)],
)
def test_the_mount_point_is_fstab_s(store: str, place: str | None) -> None:
    assert mount_point(Path(store), _FSTAB) == (place and Path(place))


def test_a_store_on_the_root_file_system_is_not_waited_for(tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text(_FSTAB)
    assert wait_for_mount(tmp_path / "clips", 0.0, fstab)
    assert wait_for_mount(tmp_path / "clips", 0.0, tmp_path / "no fstab")


def test_a_mount_that_does_not_come_is_waited_for_no_longer(tmp_path: Path) -> None:
    fstab, mounts = tmp_path / "fstab", tmp_path / "mounts"
    fstab.write_text(f"LABEL=data {tmp_path} ext4 nofail 0 2\n")
    mounts.touch()
    assert not wait_for_mount(tmp_path / "clips", 0.0, fstab, mounts)


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.geteuid() != 0, reason="only root mounts")
def test_a_mount_ends_the_wait(tmp_path: Path) -> None:
    """In a mount namespace of its own; without the kernel's word of the change it would wait for a minute."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "fstab").write_text(f"LABEL=data {data} ext4 nofail 0 2\n")
    program = f"""
        import subprocess, sys, threading
        from pathlib import Path
        from missed_moment.services.store_mount import wait_for_mount
        mount = ["mount", "-t", "tmpfs", "tmpfs", {str(data)!r}]
        threading.Timer(0.3, subprocess.run, [mount]).start()
        sys.exit(not wait_for_mount(Path({str(data / "clips")!r}), 60.0, Path({str(tmp_path / "fstab")!r})))
    """
    python = [sys.executable, "-c", textwrap.dedent(program)]
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        ["unshare", "--mount", *python], env={**os.environ, "PYTHONPATH": path}, check=False, timeout=50
    )
    assert done.returncode == 0
