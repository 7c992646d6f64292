"""What we tell the firmware counts on every board: it stands in no section of another one."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from imaging import REPOSITORY

TASKS = REPOSITORY / "image" / "tasks"
OURS = (REPOSITORY / "image" / "files" / "config.txt").read_text()
BLOCK = f"# From here: missed-moment\n{OURS}# To here: missed-moment\n"
ADDED = "dtparam=watchdog=on\n"
"""What a role has put behind it."""
FIRMWARE = "[all]\nkernel=vmlinuz\n[cm4]\notg_mode=1\n"
"""What a package has written, which ends in somebody's section."""


def settings_for_all(config: str) -> list[str]:
    """Return the lines that every board reads."""
    section, found = "all", []
    for line in config.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif section == "all" and line and not line.startswith("#"):
            found.append(line)
    return found


def play_last_task(before: str, now: str, place: Path) -> str:
    """Return what config.txt is after the last task of tasks/end.yml; it was `before`, and a package wrote `now`."""
    task = yaml.safe_load((TASKS / "end.yml").read_text())[-1]
    target = place / "config.txt"
    target.write_text(now)
    task["ansible.builtin.copy"] |= {"dest": str(target)}
    told = {"results": [{"content": ""}, {"content": base64.b64encode(before.encode()).decode()}]}
    facts = {
        "__image_told": told,
        "__image_anew": {"content": base64.b64encode(now.encode()).decode()},
        "ansible_remote_tmp": str(place / "ansible"),
        "ansible_python_interpreter": sys.executable,
    }
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": facts, "tasks": [task]}]
    playbook = place / "play.yml"
    playbook.write_text(yaml.safe_dump(play))
    ansible = Path(sys.executable).with_name("ansible-playbook")
    ran = subprocess.run([ansible, "-i", "localhost,", playbook], check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return target.read_text()


@pytest.mark.parametrize("now", [FIRMWARE, FIRMWARE + BLOCK + ADDED], ids=["written anew", "left alone"])
def test_our_settings_are_for_all_boards(tmp_path: Path, now: str) -> None:
    config = play_last_task(FIRMWARE + BLOCK + ADDED, now, tmp_path)
    assert config == FIRMWARE + BLOCK + ADDED
    wanted = [line for line in (OURS + ADDED).splitlines() if "=" in line and not line.startswith("#")]
    assert wanted == [line for line in settings_for_all(config) if line in wanted]


def test_the_block_begins_for_all_boards() -> None:
    assert OURS.startswith("[all]\n")
