"""The udev rule for other cards with the same PARTUUIDs; molecule/proofs/test_other_cards.py proves what it does."""

import re

import yaml

from imaging import REPOSITORY

FILES = REPOSITORY / "image" / "files"
RULE = (FILES / "61-missed-moment-other-cards.rules").read_text()


def test_it_is_about_the_ids_that_cards_have() -> None:
    variables = yaml.safe_load((REPOSITORY / "image" / "appliance.yml").read_text())
    disk_id = variables["readonly_root_data"].removeprefix("PARTUUID=").removesuffix("-03")
    assert re.findall(r'ENV\{ID_PART_ENTRY_UUID\}=="([^"]+)"', RULE) == [f"{disk_id}-*"]


def test_it_comes_after_the_rule_that_gives_the_names() -> None:
    """In /etc, so that Debian's hook takes it into the initial RAM disk, too, where it must do nothing."""
    tasks = yaml.safe_load((REPOSITORY / "image" / "tasks" / "boot.yml").read_text())
    (target,) = (
        task["ansible.builtin.copy"]["dest"]
        for task in tasks
        if task.get("ansible.builtin.copy", {}).get("src", "").endswith(".rules")
    )
    assert target.startswith("/etc/udev/rules.d/")
    assert target.rpartition("/")[2] > "60-persistent-storage.rules"
    assert 'TEST=="/run/systemd/system"' in RULE
