"""The tools that images are made with, all of one Debian: on any host the same make the same bytes."""

import subprocess
from pathlib import Path

from imaging import PROJECT
from imaging.debian_root import DebianRoot, venv

_REQUIREMENTS = tuple(PROJECT / "requirements" / f"{name}.txt" for name in ("ansible", "release"))

WORKBENCH = DebianRoot(
    name="workbench",
    suite="trixie",
    packages=(
        "arch-test",
        "bc",
        "bmap-tools",
        "ca-certificates",
        "curl",
        "debian-archive-keyring",
        "debootstrap",
        "dosfstools",
        "e2fsprogs",
        "fdisk",
        "file",
        "git",
        "gpg",
        "kmod",
        "libarchive-tools",
        "libcap2-bin",
        "minisign",
        "mmdebstrap",
        "mtools",
        "parted",
        "pigz",
        "python3-venv",
        "qemu-user",
        "quilt",
        "rsync",
        "xxd",
        "xz-utils",
        "zerofree",
        "zip",
    ),
    inputs=_REQUIREMENTS,
    # Where pi-gen looks for what it has mounted.
    setup=(("ln", "--symbolic", "/proc/self/mounts", "/etc/mtab"), *venv(*_REQUIREMENTS)),
)
"""What pi-gen asks for, what makes cards and releases, emulators of other processors, and Ansible."""

_TABLE = Path("/proc/sys/fs/binfmt_misc")
_EMULATOR = "/usr/bin/qemu-aarch64"
# ELF, 64 bits, little-endian, a program or a library, for AArch64; after <linux/elf-em.h> and elf(5).
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_FIXED = "F"
"""The kernel keeps the emulator open: it is found from within any root."""


def run_arm64() -> None:
    """Have the kernel run programs for arm64, where it does not by itself; said within the workbench.

    It forgets that when nobody has its table of foreign programs mounted any more: with the workbench, unless the host
    has it mounted, too. Raises CalledProcessError where the table cannot be mounted, OSError where it takes no entry.
    """
    if not _TABLE.joinpath("register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", _TABLE], check=True)
    if subprocess.run(["arch-test", "arm64"], check=False, capture_output=True).returncode:
        entry = f":missed-moment-arm64:M::{_MAGIC}:{_MASK}:{_EMULATOR}:{_FIXED}"
        _TABLE.joinpath("register").write_text(entry, encoding="ascii")
