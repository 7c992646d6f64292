"""Making the image, within the workbench."""

import argparse
import os
from pathlib import Path

from imaging import REPOSITORY, base, pi_gen, release
from imaging.debian_root import remove_tree
from imaging.stage import version
from imaging.stages import run_stage
from imaging.steps import Steps
from imaging.workbench import run_arm64

_IMAGE = REPOSITORY / "image"
_WORK = REPOSITORY / ".cache" / "image"
_DEPLOY = REPOSITORY / "dist"
_STAND_IN = "debian-stand-in"


def make_stand_in(steps: Steps, name: str, through_pi_gen: bool, fresh: bool) -> None:
    """Make the image of Debian's packages."""
    with steps.step("debian", "Debian for arm64 is there, or fetched"):
        tar = base.bootstrap(_WORK, fresh)
    begin = _WORK / "debian"
    with steps.step("unpack", "a copy of it is laid out"):
        base.unpack(tar, begin / "rootfs")
    if through_pi_gen:
        begin.joinpath("SKIP").touch()
        _run_pi_gen(steps, [begin, _IMAGE / "stage"], name)
    else:
        with steps.step("stage", "the playbook makes it a camera; emulated, that takes a while"):
            rootfs = run_stage(_IMAGE / "stage", _WORK, PREV_ROOTFS_DIR=begin / "rootfs")
        with steps.step("export", "partitions are put around it"):
            _export(rootfs, name)


def _export(rootfs: Path, name: str) -> None:
    run_stage(_IMAGE / "export", _WORK, EXPORT_ROOTFS_DIR=rootfs, DEPLOY_DIR=_DEPLOY, IMG_FILENAME=name, IMG_SUFFIX="")


def make_real(steps: Steps, name: str, fresh: bool) -> None:
    """Make the image of Raspberry Pi OS's packages."""
    if fresh:
        pi_gen.remove(_WORK)
    _run_pi_gen(steps, [*(pi_gen.place(_WORK) / stage for stage in pi_gen.STAGES), _IMAGE / "stage"], name)


def _run_pi_gen(steps: Steps, stages: list[Path], name: str) -> None:
    with steps.step("fetch", f"pi-gen {pi_gen.TAG} is fetched"):
        place = pi_gen.fetch(_WORK)
    with steps.step("pi-gen", "pi-gen runs its stages, and ours"):
        pi_gen.build(place, stages, _WORK, _DEPLOY, name)


def main() -> None:
    """Do what the arguments say; `build` explains them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", required=True)
    parser.add_argument("--pi-gen", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--release", action="store_true")
    parser.add_argument("--sources", action="store_true")
    parser.add_argument("--url", default="")
    parser.add_argument("--key", type=Path)
    said = parser.parse_args()
    run_arm64()
    stand_in = said.base == "debian"
    name = f"missed-moment-{version()}-arm64{f'-{_STAND_IN}' if stand_in else ''}"
    image = _DEPLOY / f"{name}.img"
    steps = Steps((_WORK / "logs").relative_to(REPOSITORY))
    # Our stage begins anew each time; what it begins with is kept.
    remove_tree(_WORK / "stage")
    if stand_in:
        make_stand_in(steps, name, said.pi_gen, said.fresh)
    else:
        make_real(steps, name, said.fresh)
    steps.say(f"{image.relative_to(REPOSITORY)}: {image.stat().st_blocks * 512 / 1e6:.0f} MB, to be flashed")
    if said.release:
        about = release.Release(name, version(), int(os.environ["SOURCE_DATE_EPOCH"]), said.commit, stand_in)
        with steps.step("release", "a release is gathered"):
            tree = _WORK / "stage" / "rootfs"
            release.gather(about, image, tree, _DEPLOY / name, said.url, said.key, said.sources)
        for file in sorted((_DEPLOY / name).iterdir()):
            steps.say(f"{file.relative_to(REPOSITORY)}: {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
