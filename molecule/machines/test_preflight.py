"""What speaks against a run is reported before any role has changed anything."""

import re
from pathlib import Path

import pytest

from imaging import REPOSITORY
from imaging.chroot import Chroot, CommandFailed

_TOLD = ("--extra-vars", "readonly_root_enabled=true readonly_root_data=PARTUUID=6d6d0001-03")
_FSTAB = "PARTUUID=6d6d0001-02 / ext4 defaults,noatime 0 1\n"
_BOOTED = """
- name: Let the roles take this for a running system
  hosts: all
  gather_facts: false
  tasks:
    - name: Create /run/systemd/system
      ansible.builtin.file:
        path: /run/systemd/system
        state: directory
        mode: "0755"
- name: Make it a camera
  ansible.builtin.import_playbook: {site}
"""
_OWN = re.compile(r"(tmp|run|dev|proc|sys|root/\.ansible|var/tmp)(/|$)")


@pytest.fixture
def system(debian: Chroot) -> Chroot:
    """Have a Debian that no role has seen, which a run may not change."""
    debian.run("tee", "/etc/fstab", stdin=_FSTAB)
    return debian


def _changes(system: Chroot) -> dict[str, int]:
    """Return what differs from the root, and when that was changed; not what any run leaves."""
    assert system.layer
    top = system.layer.changes
    files = [path for path in top.rglob("*") if not path.is_dir() or path.is_symlink()]
    names = {str(path.relative_to(top)): path.lstat().st_ctime_ns for path in files}
    return {name: at for name, at in names.items() if not _OWN.match(name)}


def _refused(system: Chroot, playbook: Path = REPOSITORY / "site.yml") -> str:
    """Run the playbook, which must refuse and change nothing. Returns the output, in one line."""
    before = _changes(system)
    with pytest.raises(CommandFailed) as refusal:
        system.play(*_TOLD, playbook=str(playbook))
    assert _changes(system) == before
    return re.sub(r"\s+", " ", str(refusal.value))


def test_bookworm_is_refused(system: Chroot) -> None:
    """A Pi whose system is too old keeps its partitions and its fstab."""
    system.run("sed", "-i", "s/13/12/; s/trixie/bookworm/", "/usr/lib/os-release")
    system.run("tee", "/etc/debian_version", stdin="12.11\n")
    assert "version 13 (trixie)" in _refused(system)


def test_an_overlay_is_refused(system: Chroot, tmp_path: Path) -> None:
    """raspi-config's overlay forgets all that a run does."""
    playbook = tmp_path / "booted.yml"
    playbook.write_text(_BOOTED.format(site=REPOSITORY / "site.yml"))
    assert "is an overlay in RAM" in _refused(system, playbook)
