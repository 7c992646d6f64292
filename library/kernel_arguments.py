"""Ansible module: add arguments to a Raspberry Pi's kernel command line, and remove exactly those that it added."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
---
module: kernel_arguments
short_description: Add arguments to cmdline.txt, and remove those that this module added
description:
  - The kernel command line is the first line of O(path) that is not blank. Other lines, and the line ending, stay.
  - An argument in O(arguments) that is not there yet is added at the end. What was added is recorded, one a line.
  - A recorded argument that is no longer in O(arguments) is removed. An argument that was there before stays.
  - Without the file, or without such a line, nothing is changed.
options:
  path:
    description: File with the kernel command line.
    type: path
    default: /boot/firmware/cmdline.txt
  arguments:
    description: Arguments that are to be there.
    type: list
    elements: str
    required: true
  record:
    description: File with the arguments that this module added.
    type: path
    required: true
"""

_FIRST_LINE = re.compile(r"\A(\s*)([^\r\n]*[^\s])([ \t]*)", re.ASCII)


def edit(text: str, wanted: list[str], ours: set[str]) -> tuple[str, set[str]]:
    """Return the edited text, and which of its arguments are ours."""
    found = _FIRST_LINE.match(text)
    if not found:
        return text, set()
    before, line, blanks = found.groups()
    there = line.split()
    added = [argument for argument in dict.fromkeys(wanted) if argument not in there]
    removed = (ours - set(wanted)) & set(there)
    if not added and not removed:
        return text, ours & set(there)
    for argument in removed:
        line = re.sub(rf"(?:^|[ \t]+){re.escape(argument)}(?=[ \t]|$)", "", line)
    line = " ".join([line, *added]).strip(" \t")
    return before + line + blanks + text[found.end() :], (ours & set(wanted) & set(there)) | set(added)


def replace(path: Path, text: str) -> None:
    """Replace a file durably, on FAT too: there, renaming over a file does not write the file's new size."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    with suppress(PermissionError):  # FAT has no modes
        shutil.copymode(path, new)
    new.replace(path)
    for each in (path, path.parent):
        opened = os.open(each, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    os.sync()


def read_record(record: Path) -> set[str]:
    """Return the recorded arguments; empty if there is no record."""
    return set(record.read_text().split()) if record.exists() else set()


def write_record(record: Path, arguments: set[str]) -> None:
    """Replace the record; a record without arguments is removed, and its directory if that is empty then."""
    if arguments:
        record.parent.mkdir(mode=0o755, exist_ok=True)
        record.write_text("".join(f"{argument}\n" for argument in sorted(arguments)))
    elif record.exists():
        record.unlink()
        if not any(record.parent.iterdir()):
            record.parent.rmdir()


def main() -> None:
    """Run as a module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/boot/firmware/cmdline.txt"},
            "arguments": {"type": "list", "elements": "str", "required": True},
            "record": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    path, record = Path(module.params["path"]), Path(module.params["record"])
    wanted: list[str] = module.params["arguments"]
    recorded = read_record(record)
    text, new, ours = "", "", set()
    if path.exists():
        with path.open(newline="") as file:
            text = file.read()
        new, ours = edit(text, wanted, recorded)
    changed = (new, ours) != (text, recorded)
    if changed and not module.check_mode:
        write_record(record, recorded | ours)
        if new != text:
            replace(path, new)
        write_record(record, ours)
    module.exit_json(changed=changed, diff={"before": text, "after": new})


if __name__ == "__main__":
    main()
