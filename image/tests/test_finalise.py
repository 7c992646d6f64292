from pathlib import Path

import pytest

from imaging.finalise import finalise

UPDATE = "etc/initramfs-tools/update-initramfs.conf"
INITRAMFS = "etc/initramfs-tools/initramfs.conf"


@pytest.mark.parametrize(
    ("update", "updates", "modules"),
    [("no", "yes", "dep"), ("yes", "yes", "most")],
    ids=["pi-gen", "debian"],
)
def test_a_new_kernel_gets_an_initial_ram_disk(tree: Path, update: str, updates: str, modules: str) -> None:
    """pi-gen's stage0 forbids it for the build, and its own export allows it again."""
    (tree / UPDATE).parent.mkdir(parents=True)
    (tree / UPDATE).write_text(f"# As it came.\nupdate_initramfs={update}\n\nbackup_initramfs=no\n")
    (tree / INITRAMFS).write_text("# As it came.\nMODULES=most\nBUSYBOX=auto\n")
    finalise(tree)
    assert (tree / UPDATE).read_text() == f"# As it came.\nupdate_initramfs={updates}\n\nbackup_initramfs=no\n"
    assert (tree / INITRAMFS).read_text() == f"# As it came.\nMODULES={modules}\nBUSYBOX=auto\n"


@pytest.mark.parametrize("before", [None, "/proc/mounts"])
def test_mounts_are_found_where_programs_look_for_them(tree: Path, before: str | None) -> None:
    if before:
        (tree / "etc/mtab").symlink_to(before)
    finalise(tree)
    assert str((tree / "etc/mtab").readlink()) == "../proc/self/mounts"
