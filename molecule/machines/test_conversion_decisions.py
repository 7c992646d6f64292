"""What readonly_root decides about a partition, on real file systems: none that may hold moments is formatted."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imaging import REPOSITORY

pytest.importorskip("ansible")

_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
_PARTUUID = "6d6d000b-01"
_PLAY = """
- name: Run one part of the role
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Run it
      ansible.builtin.include_role:
        name: readonly_root
        tasks_from: {tasks}
        public: true

    - name: Report the decision
      ansible.builtin.debug:
        msg: "decision: {{{{ {decision} }}}}"
"""
# A running system whose /data is on its own partition.
_BOOTED = {
    "__readonly_root_booted": True,
    "__readonly_root_listed": [],
    "__readonly_root_mounted": [],
    "__readonly_root_system": {"source": "/dev/null", "fstype": "ext4"},
    "__readonly_root_size_mb": 1024,
    "readonly_root_data": f"PARTUUID={_PARTUUID}",
    "readonly_root_data_min_mb": 0,
}


def _decide(place: Path, tasks: str, decision: str, **variables: object) -> str:
    """Run one file of tasks on this computer; return the output in one line. It must not change anything."""
    playbook = place / "play.yml"
    playbook.write_text(_PLAY.format(tasks=tasks, decision=decision))
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(REPOSITORY / "roles")}
    command = [str(_PLAYBOOK), "--inventory=localhost,", f"--extra-vars={json.dumps(_BOOTED | variables)}"]
    command += ["--extra-vars", f"ansible_python_interpreter={sys.executable}", str(playbook)]
    done = subprocess.run(command, cwd=REPOSITORY, env=env, check=False, capture_output=True, text=True)
    said = re.sub(r"\s+", " ", done.stdout + done.stderr)
    assert "changed=0" in said, said
    return said


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[Path]:
    """Make an empty partition on a loop device."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("partitions need root and loop devices")
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 32 << 20)
    table = f"label: dos\nlabel-id: 0x{_PARTUUID.partition('-')[0]}\nstart=1MiB, type=L\n"
    subprocess.run(["sfdisk", "--quiet", disk], input=table, text=True, check=True)
    loop = subprocess.run(["losetup", "--find", "--show", disk], capture_output=True, text=True, check=True).stdout
    device = loop.strip()
    subprocess.run(["partx", "--add", device], check=True)
    try:
        if not Path(f"{device}p1").is_block_device():
            pytest.skip("this machine makes no nodes for partitions")
        yield Path(f"{device}p1")
    finally:
        subprocess.run(["partx", "--delete", device], check=False, capture_output=True)
        subprocess.run(["losetup", "--detach", device], check=True)


def _place(tmp_path: Path, device: Path, **variables: object) -> str:
    formats = "__readonly_root_formats"
    return _decide(tmp_path, "place", formats, __readonly_root_device=str(device), **variables)


def test_an_empty_partition_is_formatted(partition: Path, tmp_path: Path) -> None:
    assert "decision: True" in _place(tmp_path, partition)


def test_a_file_system_is_kept(partition: Path, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", partition], check=True)
    assert "decision: False" in _place(tmp_path, partition)


@pytest.mark.parametrize(
    ("probed", "refusal"),
    [({}, "cannot be read"), ({"PART_ENTRY_UUID": _PARTUUID}, "holds data: a damaged ext4")],
    ids=["blkid prints nothing", "blkid prints the partition only"],
)
def test_a_damaged_file_system_is_refused(
    partition: Path, tmp_path: Path, probed: dict[str, str], refusal: str
) -> None:
    """The superblock's checksum is wrong. blkid 2.41 prints nothing about it; older ones do not look."""
    subprocess.run(["mkfs.ext4", "-q", "-O", "metadata_csum", partition], check=True)
    with partition.open("r+b") as disk:
        disk.seek(1024 + 0x78)  # its label
        disk.write(b"?")
        os.fsync(disk.fileno())
    said = _place(tmp_path, partition, __readonly_root_probed=probed)
    assert refusal in said, said
    assert "decision" not in said, said


def test_a_device_that_blkid_prints_nothing_of_is_refused(partition: Path, tmp_path: Path) -> None:
    """An unreadable sector has the same effect on blkid as a device in no partition table: status 2."""
    disk = Path(str(partition).removesuffix("p1"))
    subprocess.run(["partx", "--delete", disk], check=True)
    subprocess.run(["wipefs", "--quiet", "--all", disk], check=True)
    said = _place(tmp_path, disk)
    assert "cannot be read" in said, said
    assert "decision" not in said, said


def test_a_partition_that_fstab_lists_for_data_is_never_formatted(partition: Path, tmp_path: Path) -> None:
    listed = json.dumps({"filesystems": [{"target": "/data", "source": str(partition)}]})
    said = _place(tmp_path, partition, __readonly_root_evaluated_text=listed)
    assert "no file system is on it" in said, said
    assert "decision" not in said, said


_COPYING, _MOVED = ".missed-moment-copying", ".missed-moment-moved"


def _compare(tmp_path: Path, originals: list[str], marks: dict[str, str], *, listed: bool = False) -> str:
    target = tmp_path / "partition"
    (target / "clips").mkdir(parents=True)
    (target / "clips/1").touch()
    for name, text in marks.items():
        (target / name).write_text(text)
    variables: dict[str, object] = {"__readonly_root_meanwhile": str(target), "__readonly_root_originals": originals}
    variables |= {"__readonly_root_is_listed": listed, "__readonly_root_device": "/dev/null"}
    return _decide(tmp_path, "compare", "__readonly_root_to_move", **variables)


@pytest.mark.parametrize("mark", [_COPYING, _MOVED])
def test_files_that_are_no_copies_are_not_deleted(tmp_path: Path, mark: str) -> None:
    """The mark is from another card, or from a run that nobody ended; the file has come since."""
    said = _compare(tmp_path, ["clips/9"], {mark: "clips/7\n"})
    assert "hold files" in said, said
    assert "decision" not in said, said


@pytest.mark.parametrize("mark", [_COPYING, _MOVED])
def test_a_mark_alone_moves_nothing(tmp_path: Path, mark: str) -> None:
    """Without files in /data there is nothing to copy, so nothing is deleted for a copy."""
    assert "decision: False" in _compare(tmp_path, [], {mark: "clips/1\n"})


@pytest.mark.parametrize("mark", [_COPYING, _MOVED])
def test_an_interrupted_copy_is_made_again(tmp_path: Path, mark: str) -> None:
    assert "decision: True" in _compare(tmp_path, ["clips/1", "clips/2"], {mark: "clips/1\n"})


def test_a_finished_copy_that_fstab_lists_counts(tmp_path: Path) -> None:
    assert "decision: False" in _compare(tmp_path, ["clips/1", "clips/2"], {_MOVED: "clips/1\n"}, listed=True)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_listed_data_that_is_not_mounted_needs_a_reboot_only_if_read_only(tmp_path: Path, *, wanted: bool) -> None:
    """A disk that is unplugged does not reboot a Pi whose system stays writable, after each run."""
    listed = [{"target": "/data", "source": "UUID=1", "options": "nofail"}]
    said = _decide(
        tmp_path,
        "state",
        "__readonly_root_unmounted | length > 0",
        readonly_root_enabled=wanted,
        __readonly_root_listed=listed,
    )
    assert f"decision: {wanted}" in said, said
