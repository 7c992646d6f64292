"""Which units wait for which at boot, as the system's own systemd works it out; nothing is started."""

import re
from dataclasses import dataclass

from imaging.chroot import Chroot

# In a chroot that shows /sys as a container does, the generator would leave out every disk. systemd refuses to compute
# a start as root.
_COMPUTE = """
umount /sys
into=/run/systemd/generator
mkdir -p $into $into.early $into.late /run/computed
/usr/lib/systemd/system-generators/systemd-fstab-generator $into $into.early $into.late
chmod -R a+rX /run/systemd
chmod 777 /run/computed
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
runuser -u nobody -- env XDG_RUNTIME_DIR=/run/computed SYSTEMD_LOG_LEVEL=err \
    /usr/lib/systemd/systemd --test --system --unit=multi-user.target
"""
_UNIT = re.compile(r"^\t\S+ Unit (\S+):$")
_AFTER = re.compile(r"^\t\tAfter: (\S+)")


@dataclass(frozen=True)
class BootOrder:
    """Each unit of a start, and the units that it is ordered after."""

    after: dict[str, set[str]]

    def way(self, unit: str, waited_for: str) -> list[str]:
        """Return through which units `unit` waits for another, from the first to the last; empty if it does not."""
        ways = {unit: [unit]}
        new = [unit]
        while new:
            here = new.pop()
            for there in self.after.get(here, set()) - ways.keys():
                ways[there] = [*ways[here], there]
                new.append(there)
        return ways.get(waited_for, [])


def boot_order(system: Chroot) -> BootOrder:
    """Return the order in which `system` would start, with its fstab as it is."""
    after: dict[str, set[str]] = {}
    unit = ""
    for line in system.run("sh", "-euc", _COMPUTE).splitlines():
        if found := _UNIT.match(line):
            unit = found[1]
            after[unit] = set()
        elif found := _AFTER.match(line):
            after[unit].add(found[1])
    return BootOrder(after)
