"""Ansible module: mask systemd units, and unmask exactly those that it masked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
---
module: systemd_masks
short_description: Mask systemd units, and unmask those that this module masked
description:
  - The units in O(units) are masked as `systemctl mask` does it. What this module masked is recorded, one unit a line.
  - A recorded unit that is no longer in O(units) is unmasked. A unit that somebody else masked stays masked.
  - A unit file that somebody else wrote to the same path is left alone; a warning names it.
options:
  units:
    description: Units that are to be masked.
    type: list
    elements: str
    required: true
  record:
    description: File with the names of the units that this module masked.
    type: path
    required: true
  directory:
    description: Directory of the masks.
    type: path
    default: /etc/systemd/system
"""


@dataclass(frozen=True)
class Plan:
    """What has to be done, and what the record holds afterwards."""

    mask: tuple[str, ...]
    unmask: tuple[str, ...]
    foreign: tuple[str, ...]
    record: tuple[str, ...]


def read_record(record: Path) -> tuple[str, ...]:
    """Return the recorded names; empty if there is no record."""
    return tuple(record.read_text().split()) if record.exists() else ()


def write_record(record: Path, names: tuple[str, ...]) -> None:
    """Replace the record; a record without names is removed, and its directory if that is empty then."""
    if names:
        record.parent.mkdir(mode=0o755, exist_ok=True)
        record.write_text("".join(f"{name}\n" for name in names))
    elif record.exists():
        record.unlink()
        if not any(record.parent.iterdir()):
            record.parent.rmdir()


def is_mask(path: Path) -> bool:
    """Return whether the path is a link to /dev/null."""
    return path.is_symlink() and str(path.readlink()) == "/dev/null"


def is_alias(path: Path, units: list[str]) -> bool:
    """Return whether the path is one more name of a unit that is masked: newer systemd has autovt@ of getty@."""
    return path.is_symlink() and path.readlink().name != path.name and path.readlink().name in units


def plan(units: list[str], record: Path, directory: Path) -> Plan:
    """Compare the units that are to be masked with those that are, and with the record."""
    wanted = sorted(set(units))
    ours = set(read_record(record))
    masked = {unit for unit in wanted if is_mask(directory / unit) or is_alias(directory / unit, wanted)}
    foreign = tuple(unit for unit in wanted if unit not in masked and os.path.lexists(directory / unit))
    mask = tuple(unit for unit in wanted if unit not in masked and unit not in foreign)
    unmask = tuple(sorted(unit for unit in ours - set(wanted) if is_mask(directory / unit)))
    return Plan(mask, unmask, foreign, tuple(sorted((ours & set(wanted) - set(foreign)) | set(mask))))


def carry_out(todo: Plan, record: Path, directory: Path) -> None:
    """Mask and unmask. A run that ends in between leaves no mask that is not recorded."""
    write_record(record, tuple(sorted({*todo.record, *todo.unmask})))
    for unit in todo.mask:
        (directory / unit).symlink_to("/dev/null")
    for unit in todo.unmask:
        (directory / unit).unlink()
    write_record(record, todo.record)


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "required": True},
            "record": {"type": "path", "required": True},
            "directory": {"type": "path", "default": "/etc/systemd/system"},
        },
        supports_check_mode=True,
    )
    record, directory = Path(module.params["record"]), Path(module.params["directory"])
    todo = plan(module.params["units"], record, directory)
    for unit in todo.foreign:
        module.warn(f"{directory / unit} is somebody's own unit file: it is left alone, and {unit} is not masked")
    changed = bool(todo.mask or todo.unmask or todo.record != read_record(record))
    if changed and not module.check_mode:
        carry_out(todo, record, directory)
    module.exit_json(changed=changed, masked=list(todo.mask), unmasked=list(todo.unmask))


if __name__ == "__main__":
    main()
