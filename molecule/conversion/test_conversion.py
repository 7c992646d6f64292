"""Moments move to a partition of their own: whatever interrupts that, none is lost and none comes back.

In a container with a real partition on a loop device, and a stand-in for the recorder.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from imaging import REPOSITORY, host
from machines import nspawn

_PARTUUID = "6d6d0009-01"
_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
_CALLBACKS = Path(__file__).with_name("callbacks")
_RECORDER = """
mkdir -p /etc/cloud /data/clips/moment-000001 /data/clips/moment-000002
head -c 3000000 /dev/urandom >/data/clips/moment-000001/clip.mp4
echo first >/data/clips/moment-000001/moment.json
echo 'second, with a blank' >'/data/clips/moment-000002/moment of joy.json'
printf '[Service]\\nExecStart=sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \
    >/etc/systemd/system/missed-moment.service
systemctl daemon-reload
systemctl enable --now missed-moment.service
"""
# What a reboot does in such a container: /run is empty, and what fstab lists is mounted.
_REBOOT = """
systemctl stop missed-moment.service
for place in /run/missed-moment-data /run/missed-moment-root /data; do ! mountpoint -q $place || umount $place; done
rm -rf /run/missed-moment-run-unfinished /run/systemd/system/missed-moment.service.d
findmnt --fstab --mountpoint /data >/dev/null && mount /data
systemctl daemon-reload
systemctl start missed-moment.service
"""
_ORDER = "/etc/systemd/system/missed-moment.service.d/50-data.conf"
_DIGESTS = "cd /data && find clips -type f -exec sha256sum {} + | sort"
_BENEATH = """
mkdir -p /run/look && mount --bind / /run/look
find /run/look/data ! -type d
umount /run/look
"""


def _missing() -> str | None:
    if why := nspawn.missing():
        return why
    loops = Path("/dev/loop-control").exists()
    return None if loops else "this machine has no loop devices"


def _run(script: str) -> str:
    """Run a script in the container, as root."""
    command = ["ssh", "-F", str(nspawn.PLACE / "ssh_config"), "container", "sudo", "sh", "-eu"]
    done = subprocess.run(command, input=script, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def _play(*options: str, not_after: Sequence[str] | None = None) -> tuple[int, str]:
    """Run the role; returns the exit status and the output.

    With `not_after`, the run is killed after its first change that is not listed there.
    """
    env = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
    if not_after is not None:
        env |= {"ANSIBLE_CALLBACK_PLUGINS": str(_CALLBACKS), "ANSIBLE_CALLBACKS_ENABLED": "interrupt"}
        env |= {"NOT_AFTER": json.dumps(not_after)}
    command = [str(_PLAYBOOK), "--inventory=molecule/inventory/", "--tags=readonly_root"]
    variables = ("-e", "readonly_root_enabled=true", "-e", f"readonly_root_data=PARTUUID={_PARTUUID}")
    done = subprocess.run(
        [*command, *variables, *options, "site.yml"],
        cwd=REPOSITORY,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[Path]:
    """Start a container that keeps moments in /data, beside an empty partition."""
    if why := _missing():
        pytest.skip(why)
    host.install("sfdisk", "fdisk")
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 256 << 20)
    table = f"label: dos\nlabel-id: 0x{_PARTUUID.partition('-')[0]}\nstart=1MiB, type=L\n"
    subprocess.run(["sfdisk", "--quiet", disk], input=table, text=True, check=True)
    loop = subprocess.run(["losetup", "--find", "--show", disk], capture_output=True, text=True, check=True).stdout
    device = Path(loop.strip())
    subprocess.run(["partx", "--add", device], check=True)
    try:
        nspawn.start(device, Path(f"{device}p1"))
        _run(_RECORDER)
        yield Path(f"{device}p1")
    finally:
        nspawn.stop()
        subprocess.run(["partx", "--delete", device], check=True)
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.mark.timeout(3600)
def test_a_conversion_can_be_interrupted_anywhere(partition: Path) -> None:
    """After each change once, the run is killed; every other time the Pi reboots, and the owner presses and deletes."""
    kept = _run(_DIGESTS)
    interrupted: list[str] = []
    while True:
        status, said = _play(not_after=interrupted)
        assert _run(_DIGESTS) == kept, f"{interrupted}\n{said}"
        if status == 0:
            break
        assert status < 0, said
        interrupted += re.findall("interrupted after: (.*)", said)
        print(interrupted[-1], flush=True)
        # / can still be written to, so the recorder must not start before /data is mounted.
        ordered = not any("Remove the recorder's order" in name for name in interrupted)
        if ordered and "/data" in _run("cat /etc/fstab"):
            assert _run(f"cat {_ORDER}") == "[Unit]\nWantsMountsFor=/data\n", interrupted
        if (count := len(interrupted)) % 2:
            _run(_REBOOT)
            assert _run(_DIGESTS) == kept, f"{interrupted} and a reboot\n{said}"
            _run(f"echo {count} >/data/clips/{count}; rm -f /data/clips/{count - 2}")
            kept = _run(_DIGESTS)
    assert {"move", "mount", "finish", "configure"} <= {name.split()[2] for name in interrupted}
    words = re.sub(r"\s+", " ", said)
    assert "(sudo systemctl reboot): " in words, said
    # A reboot is what ends the memory of it.
    assert ("an earlier run was interrupted" in words) == (len(interrupted) % 2 == 0), said
    assert _run("findmnt --noheadings --output SOURCE /data").strip() == str(partition)
    assert _run("systemctl is-active missed-moment.service").strip() == "active"
    assert _run(_BENEATH) == ""
    assert _run("ls -A /data").split() == ["clips", "lost+found", "state"]
    assert _run("ls -d /etc/missed-moment-data-partition 2>/dev/null || true") == ""
    assert "/run/missed-moment" not in _run("findmnt --raw --noheadings --output TARGET")
    assert "PARTUUID=" + _PARTUUID in _run("cat /etc/fstab")
    assert "growfs" not in _run("cat /etc/fstab")

    assert "missed-moment" in _run("cat /etc/cloud/cloud-init.disabled")

    # There is nothing left to do, but for a reboot; without a network nobody waits for that.
    _run("ln -sf /bin/true /usr/bin/systemd-run")
    status, said = _play()
    assert (status, re.findall(r"changed=\d+", said)) == (0, ["changed=0"]), said
    status, said = _play("-e", "readonly_root_reboot=true", "-e", "privacy_network=false")
    assert status == 0, said
    assert "reboots in 5 seconds" in re.sub(r"\s+", " ", said), said

    # And back: cloud-init is enabled again, moments stay where they are.
    status, said = _play("-e", "readonly_root_enabled=false")
    assert status == 0, said
    assert _run("ls -A /etc/cloud") == ""
    assert _run(_DIGESTS) == kept


def test_files_on_both_sides_are_not_mixed(partition: Path) -> None:
    """A partition with the owner's files and a /data with moments: refused, nothing is touched, it records."""
    subprocess.run(["mkfs.ext4", "-q", partition], check=True)
    _run(f"mount {partition} /mnt; echo mine >/mnt/photo; umount /mnt")
    kept = _run(_DIGESTS)
    status, said = _play()
    assert status > 0, said
    assert "hold files" in said
    assert _run(_DIGESTS) == kept
    assert _run("systemctl is-active missed-moment.service").strip() == "active"
    assert _run(f"mount {partition} /mnt; ls -A /mnt; umount /mnt").split() == ["lost+found", "photo"]
    assert "/data" not in _run("cat /etc/fstab")

    # A mark that another card's run left there does not turn the files into copies.
    _run(f"mount {partition} /mnt; echo clips/old >/mnt/.missed-moment-moved; umount /mnt")
    status, said = _play()
    assert status > 0, said
    assert "hold files" in said
    assert _run(_DIGESTS) == kept
    listed = _run(f"mount {partition} /mnt; ls -A /mnt; rm /mnt/.missed-moment-moved; umount /mnt")
    assert "photo" in listed

    # Without moments, the owner's partition becomes /data as it is.
    _run("rm -r /data/clips; echo mine >/etc/cloud/cloud-init.disabled")
    status, said = _play()
    assert status == 0, said
    assert "photo" in _run("ls /data")

    # The owner had disabled cloud-init, so it stays disabled.
    status, said = _play("-e", "readonly_root_enabled=false")
    assert status == 0, said
    assert _run("cat /etc/cloud/cloud-init.disabled") == "mine\n"


def test_a_copy_that_fails_leaves_a_recorder_that_records(partition: Path) -> None:
    """The partition has too few inodes: reported, and the recorder runs on what it had."""
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-N", "32", partition], check=True)
    _run("mkdir /data/many; cd /data/many; seq 300 | xargs touch")
    kept = _run(_DIGESTS)
    status, said = _play()
    assert status > 0, said
    assert "/data was not moved" in said
    assert _run(_DIGESTS) == kept
    assert _run("systemctl is-active missed-moment.service").strip() == "active"
    assert _run("findmnt --raw --noheadings --output TARGET").find("missed-moment") < 0
    assert "/data" not in _run("cat /etc/fstab")


def test_what_is_on_a_partition_is_never_formatted(partition: Path) -> None:
    """Another file system, a swap area, a name that changes: refused before anything is changed."""
    before = _run("cat /etc/fstab; ls -R /etc/systemd /etc/cloud")
    for make in (["mkfs.vfat"], ["mkswap"], ["mkfs.ext2", "-q"]):
        subprocess.run(["wipefs", "--quiet", "--all", partition], check=True)
        subprocess.run([*make, partition], check=True, capture_output=True)
        held = partition.read_bytes()
        status, said = _play()
        assert status > 0, said
        assert "holds data" in said, said
        assert partition.read_bytes() == held
    # The superblock's checksum is wrong: blkid names no file system any more.
    subprocess.run(["wipefs", "--quiet", "--all", partition], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-O", "metadata_csum", partition], check=True)
    with partition.open("r+b") as disk:
        disk.seek(1024 + 0x78)
        disk.write(b"?")
        os.fsync(disk.fileno())
    held = partition.read_bytes()
    status, said = _play()
    assert status > 0, said
    assert "Nothing was changed" in re.sub(r"\s+", " ", said), said
    assert partition.read_bytes() == held
    for name in (str(partition), "LABEL=data", "PARTUUID=6d6d0009-07"):
        status, said = _play("-e", f"readonly_root_data={name}")
        assert status > 0, said
        assert "Nothing was changed" in re.sub(r"\s+", " ", said), said
    assert _run("cat /etc/fstab; ls -R /etc/systemd /etc/cloud") == before
