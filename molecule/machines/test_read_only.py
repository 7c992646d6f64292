"""A system that nobody can write to is reached by Ansible with the repository's ansible.cfg, and without it is not."""

from pathlib import Path

import pytest

from imaging.chroot import Chroot, CommandFailed

_PLAYBOOK = """
- name: Close the system
  hosts: all
  gather_facts: false
  tasks:
    - name: Mount /tmp in RAM and / read-only
      ansible.builtin.raw: mount -t tmpfs tmpfs /tmp && mount -o remount,bind,ro /
      changed_when: true

- name: Use the closed system
  hosts: all
  gather_facts: true
  tasks:
    - name: Run a script
      ansible.builtin.script:
        cmd: {script}
      changed_when: false

    - name: Write a file where that is possible
      ansible.builtin.copy:
        content: "there\\n"
        dest: /run/there
        mode: "0644"
"""


@pytest.fixture
def playbook(tmp_path: Path) -> str:
    """Write a playbook that gathers facts, runs a script and copies a file, once nothing can be written to."""
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n! touch /there 2>/dev/null\n")
    script.chmod(0o755)
    path = tmp_path / "closed.yml"
    path.write_text(_PLAYBOOK.format(script=script))
    return str(path)


def test_a_read_only_system_can_be_played_on(debian: Chroot, playbook: str) -> None:
    assert "failed=0" in debian.play(playbook=playbook)


def test_ansible_by_itself_could_not(
    debian: Chroot, playbook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = tmp_path / "ansible.cfg"
    nothing.touch()
    monkeypatch.setenv("ANSIBLE_CONFIG", str(nothing))
    with pytest.raises(CommandFailed, match=r"Gathering Facts(?s:.)*(Read-only file system|temporary directory)"):
        debian.play(playbook=playbook)
