"""The commands and inventories of the manual, as somebody who follows it would use them."""

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imaging import REPOSITORY

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_ENVIRONMENT = ".venv/ansible/bin/"
_INVENTORY = "inventory.yml"


@dataclass(frozen=True)
class Command:
    """One line of a page that runs Ansible."""

    page: str
    line: str

    def argv(self, inventory: Path) -> list[str]:
        """Return the command, with this environment's Ansible and another inventory."""
        program, *rest = shlex.split(self.line, comments=True)
        own = str(Path(sys.executable).with_name(program.removeprefix(_ENVIRONMENT)))
        return [own, *(str(inventory) if word == _INVENTORY else word for word in rest)]


def commands(*pages: str) -> list[Command]:
    """Return each line of these pages, named from the repository on, that runs Ansible."""
    return [
        Command(page, line.strip())
        for page in pages
        for _, _, block in _BLOCK.findall((REPOSITORY / page).read_text())
        for line in block.splitlines()
        if line.strip().startswith(f"{_ENVIRONMENT}ansible")
    ]


def inventories(page: str) -> Sequence[str]:
    """Return each whole inventory that a page shows."""
    blocks = _BLOCK.findall((REPOSITORY / page).read_text())
    return [block for _, kind, block in blocks if kind == "yaml" and block.startswith("---")]
