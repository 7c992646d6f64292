"""Waiting for the file system of the store, without which the recorder starts. Linux only; elsewhere nobody waits."""

import logging
import os
import select
import time
from pathlib import Path

from missed_moment.places import mount_point

log = logging.getLogger(__name__)

PATIENCE_S = 15.0
"""After power-on, /data is checked and mounted within this time; fstab's own limit for its device is 10 s."""


def wait_for_mount(
    store: Path,
    timeout_s: float = PATIENCE_S,
    fstab: Path = Path("/etc/fstab"),
    mounts: Path = Path("/proc/self/mountinfo"),
) -> bool:
    """Return once the file system of `store` is mounted; False if it is not within `timeout_s`.

    What would be written before that would lie hidden below the mount point. proc(5): poll(2) on the table of mounts
    returns when it has changed since it was opened.
    """
    try:
        place = mount_point(store, fstab.read_text())
    except (OSError, IndexError):
        return True
    deadline = time.monotonic() + timeout_s
    while place is not None:
        with mounts.open() as table:
            if os.path.ismount(place):
                break
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                log.warning("%s is not mounted after %g s", place, timeout_s)
                return False
            changed = select.poll()
            changed.register(table, select.POLLPRI)
            changed.poll(left_s * 1000)
    return True
