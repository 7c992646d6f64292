"""What pi-gen's own export does to a root file system besides putting it into an image, and ours must do as well.

pi-gen's `export-image`, step by step, and where it is done here:

| pi-gen | here |
|---|---|
| 01: give the first user a name at the first start | there is no user (`tasks/people.yml`) |
| 02: drop the build's apt proxy and archive; upgrade | `remove_traces`; `tasks/packages.yml` |
| 03: `/etc/resolv.conf` | `remove_traces`: systemd-resolved's |
| 04: PARTUUIDs in fstab and cmdline.txt | `tasks/boot.yml`: they are known before |
| 05: make the initial RAM disks | `tasks/end.yml` |
| 05: `update_initramfs=no`, which stage0 has set, to `yes`; `MODULES=most` to `dep` | `finalise` |
| 05: link `/etc/mtab` | `finalise` |
| 05: remove backups, logs, identities | `remove_traces`; machine-id is empty, since `/` is read-only |
| 05: hard links in `/usr/share/doc`, database of apt-listchanges, icon caches, VNC's keys | not on this image |
| 05: `/etc/rpi-issue`, `issue.txt` | os-release says it (`tasks/people.yml`) |
| 05: timesyncd's first clock | the recorder and `/data/state` keep it |
| 05: package list, SBOM, block map | `release` |
"""

import re
from pathlib import Path

_UPDATE = Path("etc/initramfs-tools/update-initramfs.conf")
_INITRAMFS = Path("etc/initramfs-tools/initramfs.conf")
_NEVER = re.compile(r"^update_initramfs=no$", re.MULTILINE)
_MODULES = re.compile(r"^MODULES=.*$", re.MULTILINE)
_MTAB = "../proc/self/mounts"


def finalise(tree: Path) -> None:
    """Finish the root file system, whose initial RAM disks have been made."""
    _allow_initramfs_updates(tree)
    mtab = tree / "etc/mtab"
    mtab.unlink(missing_ok=True)
    mtab.symlink_to(_MTAB)  # as systemd-tmpfiles would at each start, if / were writable


def _allow_initramfs_updates(tree: Path) -> None:
    """Undo what pi-gen's stage0 sets for the build, or a new kernel would start with an old initial RAM disk."""
    update = tree / _UPDATE
    if not update.exists() or not _NEVER.search(update.read_text()):
        return
    update.write_text(_NEVER.sub("update_initramfs=yes", update.read_text()))
    initramfs = tree / _INITRAMFS
    initramfs.write_text(_MODULES.sub("MODULES=dep", initramfs.read_text()))
