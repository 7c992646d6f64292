"""readonly_root_enabled: false undoes what the role did, and nothing that is the owner's."""

import json

import pytest

from imaging.chroot import Chroot, CommandFailed

_FSTAB = """\
PARTUUID=6d6d0001-01 /boot/firmware vfat defaults,ro 0 2
PARTUUID=6d6d0001-02 / ext4 defaults,noatime 0 1
tmpfs /tmp tmpfs size=64M 0 0
PARTUUID=6d6d0002-01 /var/log ext4 defaults 0 2
"""
_OWNER_S = """
printf 'root=PARTUUID=6d6d0001-02 fsck.repair=yes rootwait\\n' >/boot/firmware/cmdline.txt
ln -sf /dev/null /etc/systemd/system/man-db.timer
printf '[Timer]\\nOnCalendar=weekly\\n' >/etc/systemd/system/apt-daily.timer
"""
_STATE = "cat /etc/fstab /boot/firmware/cmdline.txt; cd /etc/systemd/system; ls -l man-db.timer; cat apt-daily.timer"
_ORDER = "/etc/systemd/system/missed-moment.service.d/50-data.conf"


@pytest.fixture
def system(debian: Chroot) -> Chroot:
    """Have a Debian with files of its owner."""
    debian.run("tee", "/etc/fstab", stdin=_FSTAB)
    debian.run("sh", "-euc", _OWNER_S)
    return debian


def _play(system: Chroot, *, enabled: bool) -> str:
    variables = {"readonly_root_enabled": enabled, "readonly_root_data": "PARTUUID=6d6d0001-03"}
    return system.play("--tags=readonly_root", "--extra-vars", json.dumps(variables))


def test_what_the_role_never_did_is_not_undone(system: Chroot) -> None:
    before = system.run("sh", "-euc", _STATE)
    _play(system, enabled=False)
    assert system.run("sh", "-euc", _STATE) == before


def test_what_the_role_did_is_undone(system: Chroot) -> None:
    """The owner's own unit file, mask and argument stay."""
    before = system.run("sh", "-euc", _STATE)
    _play(system, enabled=True)
    closed = system.run("sh", "-euc", _STATE)
    assert "/ ext4 defaults,noatime,ro,x-missed-moment.ro 0 1" in closed
    assert "tmpfs /var/tmp tmpfs" in closed
    assert system.run("readlink", "/etc/systemd/system/logrotate.timer") == "/dev/null\n"
    assert "changed=0" in _play(system, enabled=True)

    _play(system, enabled=False)
    after = system.run("sh", "-euc", _STATE)
    assert [line for line in after.splitlines() if " /data " not in line] == before.splitlines()
    with pytest.raises(CommandFailed):
        system.run("readlink", "/etc/systemd/system/logrotate.timer")


def test_a_kernel_argument_that_the_role_added_is_removed(system: Chroot) -> None:
    owner_s = "root=PARTUUID=6d6d0001-02 rootwait\n"
    system.run("tee", "/boot/firmware/cmdline.txt", stdin=owner_s)
    _play(system, enabled=True)
    assert system.run("cat", "/boot/firmware/cmdline.txt").split() == [*owner_s.split(), "fsck.repair=yes"]
    _play(system, enabled=False)
    assert system.run("cat", "/boot/firmware/cmdline.txt") == owner_s


def test_the_recorder_waits_for_data_until_the_system_is_read_only(system: Chroot) -> None:
    """The run fails once fstab lists /data: until the next run, the system is writable and has a /data."""
    system.run("touch", "/etc/systemd/system/data.mount.wants")
    with pytest.raises(CommandFailed, match=r"data\.mount\.wants"):
        _play(system, enabled=True)
    assert " /data ext4 " in system.run("cat", "/etc/fstab")
    assert "WantsMountsFor=/data" in system.run("cat", _ORDER)
    system.run("rm", "/etc/systemd/system/data.mount.wants")
    _play(system, enabled=True)
    with pytest.raises(CommandFailed):
        system.run("cat", _ORDER)
