"""What making leaves in a root file system that no device must have: identities, keys, lists, logs, caches, days."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_GONE = (
    # Whoever has the same is known by it, or can be listened to: each device makes its own.
    "etc/ssh/ssh_host_*",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
    # Of the computer that it was made on.
    "etc/resolv.conf",
    "etc/apt/apt.conf.d/51cache",
    "etc/apt/sources.list.d/00-temp.list",
    # What comes anew when it is asked for, and differs each time that it is made.
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists/*",
    "var/log/*",
    # What was there before the last change.
    "etc/*-",
    "etc/apt/*~",
    "etc/network/*.dpkg-old",
    "var/lib/dpkg/*-old",
    "var/lib/ucf/*.[0-9]",
    # What programs left behind them.
    "root/.*_history",
    "root/.ansible",
    "root/.cache",
    "run/*",
    "tmp/*",
    "tmp/.*",
    "var/tmp/*",
)
# shadow(5): the day of the last change is the third field. Empty, as where passwords do not age.
_CHANGED = re.compile(r"^([^:]*:[^:]*):\d+:", re.MULTILINE)
_RESOLVED = "../run/systemd/resolve/stub-resolv.conf"


def remove_traces(tree: Path) -> None:
    """Remove them. The tree is a device's that has never been switched on."""
    for path in _found(tree):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (tree / "etc/resolv.conf").symlink_to(_RESOLVED)
    # Empty, and not "uninitialized": each start would be a first one to a system that cannot be written to.
    (tree / "etc/machine-id").write_text("")
    shadow = tree / "etc/shadow"
    shadow.write_text(_CHANGED.sub(r"\1::", shadow.read_text()))


def _found(tree: Path) -> Iterator[Path]:
    for pattern in _GONE:
        yield from tree.glob(pattern)
