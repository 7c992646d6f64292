import subprocess
from pathlib import Path

import pytest

from imaging.stages import run_stage


def stage(place: Path, **scripts: str) -> Path:
    """Return a stage whose scripts are called by their places, with `__` for a slash."""
    for name, content in scripts.items():
        file = place / "stage" / name.replace("__", "/").replace("_", "-").replace("-sh", ".sh")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{content}\n")
        file.chmod(0o755)
    return place / "stage"


def test_scripts_run_in_their_order_and_know_where(tmp_path: Path) -> None:
    noted = 'echo "$0 $ROOTFS_DIR $MORE" >>"$ROOTFS_DIR.told"'
    scripts = {"prerun_sh": 'mkdir -p "$ROOTFS_DIR"', "s01_b__00_run_sh": noted, "s00_a__00_run_sh": noted}
    rootfs = run_stage(stage(tmp_path, **scripts), tmp_path / "work", MORE="more")
    assert rootfs == tmp_path / "work/stage/rootfs"
    told = Path(f"{rootfs}.told").read_text().splitlines()
    assert [Path(line.split()[0]).parent.name for line in told] == ["s00-a", "s01-b"]
    assert {line.split(maxsplit=1)[1] for line in told} == {f"{rootfs} more"}


def test_the_first_that_fails_is_the_last(tmp_path: Path) -> None:
    scripts = {"prerun_sh": "exit 3", "s00_a__00_run_sh": 'touch "$(dirname "$0")/ran"'}
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run_stage(stage(tmp_path, **scripts), tmp_path / "work")
    assert failure.value.returncode == 3
    assert not list(tmp_path.rglob("ran"))
