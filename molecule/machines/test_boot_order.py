"""The recorder's start does not wait for /data, whether that is there, broken, slow or gone."""

from collections.abc import Iterator

import pytest

from imaging import REPOSITORY
from imaging.chroot import Chroot, chroot_over
from machines import disk
from machines.boot_order import boot_order
from machines.device_root import DEVICE

_TOLD = ("--tags=readonly_root", "--extra-vars", "readonly_root_enabled=true readonly_root_data=PARTUUID=6d6d0001-03")
_FSTAB = "PARTUUID=6d6d0001-02 / ext4 defaults,noatime 0 1\n"
_RECORDER = REPOSITORY / "roles/recorder/templates/missed-moment.service.j2"
_UNIT = "missed-moment.service"
_LATE = ("data.mount", "systemd-growfs@data.service", "missed-moment-state.service")


@pytest.fixture(scope="module")
def closed() -> Iterator[Chroot]:
    """Have a Debian that the role has made read-only, with the recorder's own place in the order."""
    if why := disk.missing():
        pytest.skip(why)
    with chroot_over(DEVICE.build()) as system:
        system.run("tee", "/etc/fstab", stdin=_FSTAB)
        system.play(*_TOLD)
        head, _, _ = _RECORDER.read_text().partition("[Service]")
        lines = [line for line in head.splitlines() if "=" in line and not line.startswith("#") and "{" not in line]
        unit = "\n".join(
            ["[Unit]", *lines, "[Service]", "ExecStart=/bin/true", "[Install]", "WantedBy=multi-user.target"]
        )
        system.run("tee", f"/etc/systemd/system/{_UNIT}", stdin=f"{unit}\n")
        system.run("ln", "-s", f"/etc/systemd/system/{_UNIT}", "/usr/lib/systemd/system/multi-user.target.wants/")
        yield system


def test_nothing_waits_for_data(closed: Chroot) -> None:
    order = boot_order(closed)
    assert set(_LATE) <= order.after.keys()
    for late in _LATE:
        assert order.way(_UNIT, late) == []
        assert order.way("sysinit.target", late) == []
    assert order.way(_UNIT, "local-fs.target")
    assert order.way("systemd-random-seed.service", "data.mount"), "it loads a seed that outlasts a reboot"


def test_the_recorder_s_unit_names_no_mount() -> None:
    head, _, _ = _RECORDER.read_text().partition("[Service]")
    assert "MountsFor" not in head


@pytest.mark.parametrize(
    ("entry", "way"),
    [
        ("/data/state/var/lib/systemd /var/lib/systemd none bind,nofail 0 0", "var-lib-systemd.mount"),
        ("/dev/disk/by-partuuid/6d6d0001-03 /data ext4 nofail,x-systemd.growfs 0 2", "systemd-growfs@data.service"),
    ],
)
def test_what_would_be_waited_for_is_seen(closed: Chroot, entry: str, way: str) -> None:
    """Either of two entries that look harmless, with their nofail, would hold up the recorder."""
    before = closed.run("cat", "/etc/fstab")
    place = entry.split()[1]
    others = [line for line in before.splitlines() if line.split()[1:2] != [place]]
    closed.run("tee", "/etc/fstab", stdin="\n".join([*others, entry, ""]))
    try:
        assert way in boot_order(closed).way(_UNIT, "data.mount")
    finally:
        closed.run("tee", "/etc/fstab", stdin=before)
