"""Stages in the form that pi-gen gave them, run where there is no pi-gen.

A stage is a directory with a `prerun.sh`, and with steps in directories of their own; each step has its `00-run.sh`.
What else pi-gen would look for (packages, patches, scripts that run inside), ours do not have.
"""

import os
import subprocess
from pathlib import Path

_WHERE = "ROOTFS_DIR"


def run_stage(stage: Path, work: Path, **told: str | Path) -> Path:
    """Run the stage in a directory of its own below `work`, and return where its root file system is.

    `told` are more of the variables that scripts may use. Raises CalledProcessError.
    """
    rootfs = work / stage.name / "rootfs"
    env = os.environ | {name: str(value) for name, value in told.items()} | {_WHERE: str(rootfs)}
    for script in (stage / "prerun.sh", *sorted(stage.glob("*/*-run.sh"))):
        if script.exists():
            subprocess.run([script], cwd=script.parent, env=env, check=True)
    return rootfs
