"""Ansible module: find mounted file systems and network interfaces of a running system that are on USB."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTATION = """
---
module: usb_dependencies
short_description: Find what a running system has on USB
description:
  - Returns C(found), a list with one line for each of O(mounts) that is on a USB disk, and for each network interface
    in use that is a USB device. The port of a Raspberry Pi 3 is one. Disks below LVM, RAID and encryption count, and so
    do interfaces below a bridge.
  - Nothing is changed.
options:
  mounts:
    description: Mount points to look at.
    type: list
    elements: str
    required: true
  network:
    description: Whether to look at network interfaces.
    type: bool
    default: true
"""

_USB = re.compile(r"usb\d+")
"""A root hub in a path of sysfs. The platform's controller is called otherwise (`3f980000.usb`), and what this computer
itself offers as a USB gadget lies beside the hub."""
_UP = 1
"""IFF_UP."""


def find_mounts(mounts: list[str], proc: Path, sysfs: Path) -> Iterator[str]:
    """Yield a line for each mount point whose file system is on a USB disk."""
    for line in (proc / "self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        number, where = fields.split()[2], fields.split()[4]
        if where not in mounts:
            continue
        source = rest.split()[1]
        node = sysfs / "dev/block" / number
        if number.startswith("0:"):  # btrfs numbers itself
            node = sysfs / "class/block" / Path(source).name
        if any(_is_on_usb(disk) for disk in _with_lower(node, "slaves/*")):
            yield f"{where} is on a USB disk ({source})"


def find_interfaces(sysfs: Path) -> Iterator[str]:
    """Yield a line for each network interface in use that is a USB device, or lies on one."""
    for interface in sorted((sysfs / "class/net").glob("*")):
        try:
            flags = int((interface / "flags").read_text(), 16)
            state = (interface / "operstate").read_text().strip()
        except OSError:  # it went away, or is no interface (bonding_masters)
            continue
        if not flags & _UP or state in {"down", "lowerlayerdown", "notpresent"}:
            continue
        if any(_is_on_usb(lower / "device") for lower in _with_lower(interface, "lower_*")):
            yield f"the network interface {interface.name} is a USB device"


def _with_lower(node: Path, below: str) -> Iterator[Path]:
    yield node
    for lower in node.glob(below):
        yield from _with_lower(lower, below)


def _is_on_usb(node: Path) -> bool:
    return node.exists() and any(_USB.fullmatch(part) for part in node.resolve().parts)


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={
            "mounts": {"type": "list", "elements": "str", "required": True},
            "network": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    found = list(find_mounts(module.params["mounts"], Path("/proc"), Path("/sys")))
    if module.params["network"]:
        found += find_interfaces(Path("/sys"))
    module.exit_json(changed=False, found=found)


if __name__ == "__main__":
    main()
