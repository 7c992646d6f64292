"""The manual's commands are understood by the Ansible that it installs, with the inventories that it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imaging import REPOSITORY
from machines.manual import Command, commands, inventories

_PLAYBOOK = ("README.md", "docs/how-to/existing-pi.md", "docs/how-to/update.md")
_FLEET = "docs/how-to/fleet.md"
_COMMANDS = commands(*_PLAYBOOK, _FLEET)


def _run(*command: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("command", _COMMANDS, ids=lambda command: command.line)
def test_a_command_reaches_hosts(command: Command, tmp_path: Path) -> None:
    (fleet,) = inventories(_FLEET)
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(fleet if command.page == _FLEET else (REPOSITORY / "inventory.example.yml").read_text())
    said = _run(*command.argv(inventory), "--list-hosts")
    assert re.search(r"^ +\w+\.local$", said, re.MULTILINE), said


def test_there_are_commands() -> None:
    assert {command.page for command in _COMMANDS} == {*_PLAYBOOK, _FLEET}
    assert len(inventories(_FLEET)) == 1


def test_no_page_names_a_partition_by_what_changes_at_boot() -> None:
    for page in REPOSITORY.glob("docs/**/*.md"):
        for line in page.read_text().splitlines():
            assert "readonly_root_data: /dev/" not in line, page


def test_ansible_cfg_is_what_a_read_only_pi_needs() -> None:
    """The one in the repository: modules over the connection, files in RAM, and keys of hosts are checked."""
    config = str(Path(sys.executable).with_name("ansible-config"))
    said = _run(config, "dump", "--only-changed", "-t", "all")
    assert re.search(r"^pipelining\(.*/ansible\.cfg\) = True$", said, re.MULTILINE), said
    assert re.search(r"^remote_tmp\(.*/ansible\.cfg\) = /tmp/\.ansible-\$USER$", said, re.MULTILINE), said
    assert not re.search(r"^host_key_checking\(.*\) = False$", said, re.IGNORECASE | re.MULTILINE), said
