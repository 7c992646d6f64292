"""missed-moment-doctor: on a healthy device no check fails, and each thing that breaks is found by its own check."""

import json
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from missed_moment_doctor import program
from missed_moment_doctor.device import Device, run_command
from missed_moment_doctor.expectations import demanded, observed, recorded
from missed_moment_doctor.facets import Facet

_PROC = "/proc/42"
_EXPECT_D = "/etc/missed-moment/expect.d"
_CMDLINE = "/boot/firmware/cmdline.txt"
_JOURNAL = "journalctl --boot --quiet --no-pager --output=cat"
_CHECK = "runuser -u missed-moment -- missed-moment check"
_PYTHON = "/opt/missed-moment/0123/bin/python -c"
_GETENT, _ID = "getent passwd missed-moment", "id -nG missed-moment"
_LIVES = "systemctl show --property=ActiveState,NRestarts"
_WATCHDOG = "systemctl show --property=RuntimeWatchdogUSec,WatchdogDevice"
_IN_RAM = ("/tmp", "/var/tmp", "/var/log")  # noqa: S108 - mount points
_OWNED = "stat -c %U:%G %a"
_MODES = "stat --dereference -c %U:%G %a %n"

HEALTHY = {
    "/etc/fstab": """\
proc                 /proc           proc  defaults              0 0
PARTUUID=6d6d0001-01 /boot/firmware  vfat  defaults,ro           0 2
PARTUUID=6d6d0001-02 /               ext4  defaults,noatime,ro   0 1
# missed-moment keeps its memory to itself: /swap none swap defaults 0 0
PARTUUID=6d6d0001-03 /data ext4 rw,noatime,nodev,nosuid,noexec,errors=remount-ro,nofail 0 2
tmpfs /tmp tmpfs mode=1777,nosuid,nodev 0 0
tmpfs /var/tmp tmpfs mode=1777,nosuid,nodev 0 0
tmpfs /var/log tmpfs mode=0755,nosuid,nodev 0 0
/data/state/var/lib/systemd /var/lib/systemd none bind,nofail 0 0
""",
    _CMDLINE: "root=PARTUUID=6d6d0001-02 nohibernate fsck.repair=yes usbcore.authorized_default=0\n",
    "/boot/firmware/missed-moment.toml": "",
    "/etc/missed-moment/expect.d/hardening.json": '["no-consoles", "usb-admission", "dedicated"]\n',
    "/etc/missed-moment/expect.d/privacy.json": '["no-network"]\n',
    "/etc/missed-moment/expect.d/readonly_root.json": '["read-only"]\n',
    "/etc/systemd/system/missed-moment.service": "",
    "/etc/systemd/system/missed-moment-export@.service": "",
    "/etc/udev/rules.d/89-missed-moment-admission.rules": "",
    "/etc/udev/rules.d/90-missed-moment.rules": "",
    "/usr/sbin/sshd": "",
    "/usr/bin/cloud-init": "",
    "/etc/cloud/cloud-init.disabled": "",
    "/dev/watchdog0": "",
    "/dev/gpiochip0": "",
    "/dev/dma_heap/linux,cma": "",
    "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "/proc/cmdline": "quiet init_on_free=1 usbcore.authorized_default=0\n",
    "/proc/swaps": "Filename Type Size Used Priority\n",
    "/proc/net/tcp": "  sl  local_address\n",
    "/proc/net/udp": "  sl  local_address\n",
    "/proc/sys/kernel/core_pattern": "|/bin/false\n",
    "/proc/sys/kernel/kexec_load_disabled": "1\n",
    "/proc/sys/kernel/panic": "10\n",
    "/proc/sys/kernel/sysrq": "0\n",
    "/proc/sys/kernel/dmesg_restrict": "1\n",
    "/proc/sys/kernel/tainted": f"{1 << 10 | 1 << 12}\n",
    "/sys/module/usbcore/parameters/authorized_default": "0\n",
    "/sys/class/net/lo/flags": "0x9\n",
    "/sys/class/net/eth0/flags": "0x1002\n",
    "/proc/1/comm": "systemd\n",
    "/proc/42/comm": "missed-moment\n",
    "/proc/42/status": (
        "Uid:\t990\t990\t990\t990\nVmLck:\t   61440 kB\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
        "NoNewPrivs:\t1\nSeccomp:\t2\n"
    ),
    "/proc/42/limits": "Max core file size        0                    0                    bytes\n",
    "/proc/42/net/dev": "Inter-|   Receive\n face |bytes\n    lo: 0 0\n",
    "/proc/42/environ": (
        "PYTHONMALLOC=malloc\0GLIBC_TUNABLES=glibc.malloc.perturb=90:glibc.malloc.tcache_count=0\0LANG=C.UTF-8\0"
    ),
    "/run/systemd/system/.keep": "",
}
"""Files of a healthy appliance, a Raspberry Pi."""
LINKS = {
    "/usr/local/bin/missed-moment": "/opt/missed-moment/0123/bin/missed-moment",
    "/proc/1/ns/net": "net:[1]",
    "/proc/42/ns/net": "net:[2]",
    **{
        f"/etc/systemd/system/{unit}": "/dev/null"
        for unit in (
            *("hibernate.target", "suspend.target", "systemd-coredump.socket", "apt-daily.timer"),
            *("autovt@.service", "console-getty.service", "getty@.service", "getty.target", "serial-getty@.service"),
        )
    },
}
MOUNTS = [
    {"target": "/", "fstype": "ext4", "options": "ro,noatime"},
    {"target": "/boot/firmware", "fstype": "vfat", "options": "ro"},
    {"target": "/data", "fstype": "ext4", "options": "rw,nodev,nosuid,noexec,noatime"},
    {"target": "/var/lib/systemd", "source": "tmpfs", "fstype": "tmpfs", "options": "rw,nodev"},
    {
        "target": "/var/lib/systemd",
        "source": "/dev/mmcblk0p3[/state/var/lib/systemd]",
        "fstype": "ext4",
        "options": "rw,nodev",
    },
    *({"target": place, "fstype": "tmpfs", "options": "rw"} for place in _IN_RAM),
]
ANSWERS = {
    "missed-moment --version": "missed-moment, version 0.2\n",
    "missed-moment setting network.enabled": (1, "false\n"),
    "missed-moment status --json": '{"state": "recording", "faults": {}}\n',
    _CHECK: "all settings are good\nnothing is kept\n",
    f"{_PYTHON} import lgpio": "",
    f"{_PYTHON} \nimport re": "",
    _GETENT: "missed-moment:x:990:990::/nonexistent:/usr/sbin/nologin\n",
    "id -u missed-moment": "990\n",
    _ID: "missed-moment audio video gpio\n",
    f"{_OWNED} /data": "root:root 755\n",
    f"{_OWNED} /data/clips": "missed-moment:missed-moment 2770\n",
    f"{_MODES} /dev/gpiochip0": "root:gpio 660 /dev/gpiochip0\n",
    f"{_MODES} /dev/dma_heap/linux,cma": "root:video 660 /dev/dma_heap/linux,cma\n",
    "find": "",
    "systemctl is-enabled missed-moment": "enabled\n",
    "systemctl is-enabled": (4, "not-found\n"),
    "systemctl is-enabled ssh.service": (1, "disabled\n"),
    "systemctl is-active missed-moment-network.target": (3, "inactive\n"),
    "systemctl is-system-running": "running\n",
    "systemctl list-units --failed": "",
    _LIVES: "ActiveState=active\nNRestarts=0\n",
    "systemctl show --property=InvocationID": "InvocationID=abc\n",
    "systemctl show --property=MainPID": "MainPID=42\n",
    _WATCHDOG: "RuntimeWatchdogUSec=1min\nWatchdogDevice=/dev/watchdog0\n",
    "systemd-analyze verify": "",
    "systemd-analyze security": "",
    "systemd-analyze cat-config systemd/journald.conf": "[Journal]\nStorage=auto\nStorage=volatile\n",
    "systemd-analyze cat-config systemd/logind.conf": (
        "#HandlePowerKey=poweroff\nHandlePowerKey=ignore\nHandlePowerKeyLongPress=poweroff\n"
    ),
    "systemd-analyze cat-config systemd/system.conf": "[Manager]\nDefaultLimitCORE=0\n",
    "udevadm verify": "",
    f"{_JOURNAL} _PID=1": "systemd 257 running in system mode\n",
    f"{_JOURNAL} _PID=1 INVOCATION_ID=abc --priority=warning": "",
    f"{_JOURNAL} UNIT=missed-moment.service INVOCATION_ID=abc": "Started missed-moment.service - Recorder.\n",
    "/usr/sbin/sshd -G": "port 22\npasswordauthentication no\nkbdinteractiveauthentication no\n",
    "findmnt": json.dumps({"filesystems": MOUNTS}),
}
"""What the commands answer there, by how they begin: the longest beginning counts."""
EXPECTED = frozenset(Facet) - {Facet.NETWORK_ON}


class Appliance:
    """A device that a test can break."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.answers: dict[str, str | tuple[int, str]] = dict(ANSWERS)
        for path, text in HEALTHY.items():
            self.write(path, text)
        for path, target in LINKS.items():
            self.link(path, target)

    def __call__(self, command: Sequence[str]) -> tuple[int, str]:
        line = " ".join(command)
        known = max((start for start in self.answers if line.startswith(start)), key=len, default=None)
        assert known is not None, f"nobody has recorded {line}"
        answer = self.answers[known]
        return answer if isinstance(answer, tuple) else (0, answer)

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).unlink(missing_ok=True)
        self.path(path).write_text(text)

    def link(self, path: str, target: str) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).unlink(missing_ok=True)
        self.path(path).symlink_to(target)

    def failing(self, expected: frozenset[Facet] = EXPECTED, faults: frozenset[str] = frozenset()) -> dict[str, str]:
        device = Device(self.root, self, expected, faults)
        return {check.name: problem for check, problem in program.examine(device) if problem is not None}


Breaks = Callable[[Appliance], object]


def file(path: str, text: str) -> Breaks:
    return lambda device: device.write(path, text)


def edit(path: str, old: str, new: str) -> Breaks:
    assert old in HEALTHY[path]
    return lambda device: device.write(path, HEALTHY[path].replace(old, new))


def socket_at(path: str) -> Breaks:
    def make(device: Appliance) -> None:
        device.path(path).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(device.path(path), stat.S_IFSOCK | 0o666)

    return make


def gone(path: str) -> Breaks:
    def remove(device: Appliance) -> None:
        found = device.path(path)
        shutil.rmtree(found) if found.is_dir() and not found.is_symlink() else found.unlink()

    return remove


def answer(command: str, output: str, status: int = 0) -> Breaks:
    assert command in ANSWERS or not any(known.startswith(command) for known in ANSWERS), f"would not count: {command}"
    return lambda device: device.answers.update({command: (status, output)})


def mount(target: str, **changed: str) -> Breaks:
    mounts = [{**each, **(changed if each["target"] == target else {})} for each in MOUNTS]
    assert mounts != MOUNTS
    return answer("findmnt", json.dumps({"filesystems": mounts}))


def no_mount(target: str) -> Breaks:
    return answer("findmnt", json.dumps({"filesystems": [each for each in MOUNTS if each["target"] != target]}))


BROKEN: list[tuple[str, Breaks]] = [
    ("facets_are_recorded", gone(f"{_EXPECT_D}/privacy.json")),
    ("facets_are_recorded", gone(_EXPECT_D)),
    ("facets_are_recorded", file(f"{_EXPECT_D}/privacy.json", "[]\n")),
    ("facets_are_recorded", file(f"{_EXPECT_D}/privacy.json", '"no-network"\n')),
    ("facets_are_recorded", file(f"{_EXPECT_D}/privacy.json", '["no-netwrok"]\n')),
    ("facets_are_recorded", file(f"{_EXPECT_D}/privacy.json", "")),
    ("command_works", answer("missed-moment --version", "ModuleNotFoundError: No module named 'av'", 1)),
    ("command_works", answer("missed-moment --version", "")),
    ("store_and_settings_are_good", answer(_CHECK, "missed-moment.toml: [video] fps is 0", 1)),
    ("settings_file_explains_every_key", answer(f"{_PYTHON} \nimport re", "fps", 1)),
    ("user_is_as_small_as_can_be", answer(_GETENT, "", 2)),
    ("user_is_as_small_as_can_be", answer(_GETENT, "missed-moment:x:990:990::/nonexistent:/bin/sh\n")),
    ("user_is_as_small_as_can_be", answer(_GETENT, "missed-moment:x:990:990::/home/x:/usr/sbin/nologin\n")),
    ("user_is_as_small_as_can_be", answer(_ID, "missed-moment audio video gpio sudo\n")),
    ("user_is_as_small_as_can_be", answer(_ID, "missed-moment audio video\n")),
    ("moments_are_private", answer(f"{_OWNED} /data/clips", "missed-moment:missed-moment 2775\n")),
    ("moments_are_private", answer(f"{_OWNED} /data/clips", "stat: cannot statx: No such file or directory\n", 1)),
    ("data_is_root_s", answer(f"{_OWNED} /data", "pi:pi 2775\n")),
    ("rest_is_root_s", answer("find", "pi:pi 644 /opt/missed-moment/0123/bin/python\n")),
    ("rest_is_root_s", answer("find", "find: '/opt/missed-moment': No such file or directory\n", 1)),
    ("recorder_starts_at_boot", answer("systemctl is-enabled missed-moment.service", "disabled\n", 1)),
    ("recorder_starts_at_boot", answer("systemctl is-enabled missed-moment.service", "masked\n", 1)),
    ("units_are_sound", answer("systemd-analyze verify --man=no /etc/systemd/system/missed-moment-e", "Unknown key\n")),
    ("units_are_locked_in", answer("systemd-analyze security", "9.6 UNSAFE", 1)),
    ("rules_are_sound", answer("udevadm verify", "Invalid key", 1)),
    ("memory_stays_in_memory", edit("/etc/fstab", "# missed-moment keeps its memory to itself: ", "")),
    *(
        ("memory_stays_in_memory", gone(f"/etc/systemd/system/{unit}"))
        for unit in ("hibernate.target", "suspend.target")
    ),
    ("memory_stays_in_memory", gone("/etc/systemd/system/hibernate.target")),
    ("memory_stays_in_memory", gone("/etc/systemd/system/systemd-coredump.socket")),
    ("memory_stays_in_memory", file("/etc/systemd/system/hibernate.target", "[Unit]\n")),
    ("memory_stays_in_memory", answer("systemd-analyze cat-config systemd/journald.conf", "Storage=persistent\n")),
    ("memory_stays_in_memory", answer("systemd-analyze cat-config systemd/journald.conf", "")),
    (
        "power_key_does_not_end_it",
        answer("systemd-analyze cat-config systemd/logind.conf", "#HandlePowerKey=poweroff\n"),
    ),
    (
        "power_key_does_not_end_it",
        answer(
            "systemd-analyze cat-config systemd/logind.conf", "HandlePowerKey=ignore\n#HandlePowerKeyLongPress=ignore\n"
        ),
    ),
    ("memory_stays_in_memory", answer("systemd-analyze cat-config systemd/system.conf", "#DefaultLimitCORE=0\n")),
    *(
        ("fstab_is_read_only", edit("/etc/fstab", option, ""))
        for option in ("nodev,", "nosuid,", "noexec,", "noatime,")
    ),
    ("fstab_is_read_only", edit("/etc/fstab", "errors=remount-ro,", "")),
    ("fstab_is_read_only", edit("/etc/fstab", "defaults,noatime,ro ", "defaults,noatime ")),
    ("fstab_is_read_only", edit("/etc/fstab", "defaults,ro ", "defaults ")),
    ("fstab_is_read_only", edit("/etc/fstab", "PARTUUID=6d6d0001-02 / ", "#PARTUUID=6d6d0001-02 / ")),
    ("fstab_is_read_only", edit("/etc/fstab", "PARTUUID=6d6d0001-01 ", "# ")),
    ("fstab_is_read_only", edit("/etc/fstab", "PARTUUID=6d6d0001-03 /data", "# /data")),
    ("fstab_is_read_only", edit("/etc/fstab", "PARTUUID=6d6d0001-03", "/dev/sda1")),
    ("fstab_is_read_only", edit("/etc/fstab", "nofail 0 2", "nofail 0 0")),
    ("fstab_is_read_only", edit("/etc/fstab", "tmpfs /var/log tmpfs", "/dev/sda2 /var/log ext4")),
    ("fstab_is_read_only", edit("/etc/fstab", "tmpfs /tmp", "# /tmp")),
    ("fstab_is_read_only", edit("/etc/fstab", "none bind,", "none ")),
    ("fstab_is_read_only", edit("/etc/fstab", "/data/state/var/lib/systemd ", "# ")),
    ("fstab_is_read_only", gone("/etc/systemd/system/apt-daily.timer")),
    ("command_line_suits_read_only_root", edit(_CMDLINE, "fsck.repair=yes ", "")),
    ("command_line_suits_read_only_root", edit(_CMDLINE, "\n", " resize\n")),
    ("command_line_suits_read_only_root", edit(_CMDLINE, "\n", " init=/usr/lib/raspberrypi-sys-mods/init_resize.sh\n")),
    ("cloud_init_is_disabled", gone("/etc/cloud/cloud-init.disabled")),
    ("network_units_are_off", answer("systemctl is-enabled ssh.service", "enabled\n")),
    ("network_units_are_off", answer("systemctl is-enabled NetworkManager.service", "enabled\n")),
    (
        "network_units_are_off",
        answer("systemctl is-enabled missed-moment-network.service", "not-found\n", 4),
    ),
    (
        "passwords_are_refused",
        answer("/usr/sbin/sshd -G", "passwordauthentication yes\nkbdinteractiveauthentication no\n"),
    ),
    (
        "passwords_are_refused",
        answer("/usr/sbin/sshd -G", "passwordauthentication no\nkbdinteractiveauthentication yes\n"),
    ),
    ("passwords_are_refused", answer("/usr/sbin/sshd -G", "kbdinteractiveauthentication no\n")),
    ("passwords_are_refused", answer("/usr/sbin/sshd -G", "/etc/ssh/sshd_config: bad configuration\n", 255)),
    ("consoles_are_masked", gone("/etc/systemd/system/getty@.service")),
    ("consoles_are_masked", gone("/etc/systemd/system/serial-getty@.service")),
    ("usb_admission_is_set_up", edit(_CMDLINE, " usbcore.authorized_default=0", "")),
    ("usb_admission_is_set_up", gone("/etc/udev/rules.d/89-missed-moment-admission.rules")),
    ("picamera2_and_lgpio_can_be_imported", answer(f"{_PYTHON} import lgpio", "No module", 1)),
    ("system_is_running", answer("systemctl is-system-running", "degraded\n", 1)),
    ("system_is_running", answer("systemctl list-units --failed", "ssh.service loaded failed failed\n")),
    ("order_at_boot_is_clear", answer(f"{_JOURNAL} _PID=1", "Found ordering cycle on data.mount/start\n")),
    ("recorder_runs_since_it_was_started", answer(_LIVES, "ActiveState=active\nNRestarts=1\n")),
    ("recorder_runs_since_it_was_started", answer(_LIVES, "ActiveState=failed\nNRestarts=0\n")),
    ("recorder_got_its_sandbox", answer(f"{_JOURNAL} _PID=1 INVOCATION_ID=abc --priority=warning", "Failed to ...\n")),
    (
        "recorder_got_its_sandbox",
        answer(f"{_JOURNAL} UNIT=missed-moment.service INVOCATION_ID=abc", "..., proceeding without\n"),
    ),
    ("recorder_got_its_sandbox", answer("systemctl show --property=InvocationID", "InvocationID=\n")),
    ("recorder_can_do_nothing_else", edit(f"{_PROC}/status", "CapEff:\t0000000000000000", "CapEff:\t0000000000200000")),
    ("recorder_can_do_nothing_else", edit(f"{_PROC}/status", "CapBnd:\t0000000000000000", "CapBnd:\t000001ffffffffff")),
    ("recorder_can_do_nothing_else", edit(f"{_PROC}/status", "NoNewPrivs:\t1", "NoNewPrivs:\t0")),
    ("recorder_can_do_nothing_else", edit(f"{_PROC}/status", "Seccomp:\t2", "Seccomp:\t0")),
    ("recorder_can_do_nothing_else", edit(f"{_PROC}/status", "Uid:\t990\t990", "Uid:\t0\t990")),
    ("recorder_can_do_nothing_else", edit(f"{_PROC}/limits", "0      ", "unlimited")),
    ("recorder_can_do_nothing_else", file(f"{_PROC}/limits", "")),
    ("recorder_reaches_no_network", lambda device: device.link(f"{_PROC}/ns/net", "net:[1]")),
    ("recorder_reaches_no_network", edit(f"{_PROC}/net/dev", "lo: 0 0\n", "lo: 0 0\n  eth0: 0 0\n")),
    ("recorder_reaches_no_daemon", socket_at(f"{_PROC}/root/run/dbus/system_bus_socket")),
    ("recorder_reaches_no_daemon", socket_at(f"{_PROC}/root/run/systemd/resolve/io.systemd.Resolve")),
    ("forgotten_is_gone", edit(f"{_PROC}/environ", "PYTHONMALLOC=malloc\0", "")),
    ("forgotten_is_gone", edit(f"{_PROC}/environ", "tcache_count=0", "tcache_count=7")),
    ("forgotten_is_gone", edit(f"{_PROC}/environ", "GLIBC_TUNABLES", "GLIBC_TUNEABLES")),
    ("mounts_are_read_only", mount("/", options="rw,noatime")),
    ("mounts_are_read_only", mount("/boot/firmware", options="rw")),
    ("mounts_are_read_only", mount("/data", options="rw,nosuid,noexec")),
    ("mounts_are_read_only", mount("/data", options="ro,nodev,nosuid,noexec")),
    ("mounts_are_read_only", mount("/var/log", fstype="ext4")),
    ("mounts_are_read_only", mount("/var/lib/systemd", source="tmpfs")),
    *(("mounts_are_read_only", no_mount(mounted["target"])) for mounted in MOUNTS),
    ("network_matches_its_setting", answer("systemctl is-active missed-moment-network.target", "active\n")),
    ("network_matches_its_setting", answer("missed-moment setting network.enabled", "true\n")),
    ("network_matches_its_setting", answer("missed-moment setting network.enabled", "Traceback", 2)),
    ("network_matches_its_setting", answer("missed-moment setting network.enabled", "Traceback: ...", 1)),
    ("nothing_listens", file("/proc/net/tcp", "  sl  local_address\n   0: 00000000:0016 00000000:0000 0A\n")),
    ("nothing_listens", file("/proc/net/udp6", "  sl  local_address\n   0: 0000:14E9\n")),
    ("nothing_listens", file("/proc/net/packet", "sk RefCnt\n0000 3\n")),
    ("nothing_listens", gone("/proc/net/tcp")),
    ("nothing_listens", gone("/sys/class/net")),
    ("nothing_listens", file("/sys/class/net/eth0/flags", "0x1003\n")),
    ("no_getty_runs", file("/proc/77/comm", "agetty\n")),
    ("no_getty_runs", file("/proc/77/comm", "login\n")),
    ("recorder_answers", answer("missed-moment status --json", "no recorder answers", 1)),
    ("recorder_answers", answer("missed-moment status --json", '{"state": "off", "faults": {"camera": "none"}}')),
    ("recorder_answers", answer("missed-moment status --json", '{"state": "recording", "faults": {"hot": "81 C"}}')),
    ("recorder_answers", answer("missed-moment status --json", '{"state": "off", "faults": {}}')),
    ("recorder_answers", answer("missed-moment status --json", "{}")),
    ("memory_is_locked", edit(f"{_PROC}/status", "61440", "0")),
    ("memory_is_locked", file("/proc/swaps", "Filename Type Size Used Priority\n/dev/mmcblk0p4 partition 1 0 100\n")),
    ("kernel_is_set", gone("/proc/sys/kernel/panic")),
    *(("kernel_is_closed", gone(f"/proc/sys/kernel/{name}")) for name in ("sysrq", "dmesg_restrict")),
    ("kernel_is_set", file("/proc/sys/kernel/core_pattern", "core\n")),
    ("kernel_is_set", file("/proc/sys/kernel/kexec_load_disabled", "0\n")),
    ("usb_is_admitted_by_rule", file("/sys/module/usbcore/parameters/authorized_default", "-1\n")),
    ("usb_is_admitted_by_rule", edit("/proc/cmdline", " usbcore.authorized_default=0", "")),
    ("freed_memory_is_zeroed", edit("/proc/cmdline", "init_on_free=1", "init_on_free=10")),
    ("kernel_is_whole", file("/proc/sys/kernel/tainted", f"{1 << 9}\n")),
    ("watchdog_is_fed", gone("/dev/watchdog0")),
    ("watchdog_is_fed", answer(_WATCHDOG, "RuntimeWatchdogUSec=0\nWatchdogDevice=/dev/watchdog0")),
    ("watchdog_is_fed", answer(_WATCHDOG, "RuntimeWatchdogUSec=1min\nWatchdogDevice=\n")),
    ("gpio_chips_have_their_group", answer(f"{_MODES} /dev/gpiochip0", "root:root 600 /dev/gpiochip0\n")),
    ("gpio_chips_have_their_group", gone("/dev/gpiochip0")),
    ("dma_heaps_have_their_group", answer(f"{_MODES} /dev/dma_heap/linux,cma", "root:root 600 /dev/dma_heap/x\n")),
    ("dma_heaps_have_their_group", gone("/dev/dma_heap")),
]


@pytest.fixture
def appliance(tmp_path: Path) -> Appliance:
    return Appliance(tmp_path)


def test_a_healthy_device_passes(appliance: Appliance) -> None:
    assert appliance.failing() == {}


@pytest.mark.parametrize(
    ("name", "breaks"), BROKEN, ids=[f"{number}-{name}" for number, (name, _) in enumerate(BROKEN)]
)
def test_what_is_broken_is_found_by_its_check_and_no_other(name: str, breaks: Breaks, appliance: Appliance) -> None:
    breaks(appliance)
    assert list(appliance.failing()) == [name]


def test_each_check_is_seen_to_fail() -> None:
    assert {name for name, _ in BROKEN} == {check.name for check in program.CHECKS}


SAFE_IF_ABSENT = {"passwords_are_refused", "cloud_init_is_disabled"}
"""Without sshd nobody logs in over ssh; without cloud-init nothing runs it."""


@pytest.mark.parametrize("status", [1, 4])
def test_no_check_passes_if_no_role_did_anything(status: int, tmp_path: Path) -> None:
    (tmp_path / "boot/firmware").mkdir(parents=True)
    device = Device(tmp_path, lambda _: (status, ""), frozenset(Facet) - {Facet.NETWORK_ON})
    assert {check.name for check, problem in program.examine(device) if problem is None} == SAFE_IF_ABSENT


def test_a_command_that_is_missing_is_a_failure(tmp_path: Path) -> None:
    def missing(command: Sequence[str]) -> tuple[int, str]:
        raise FileNotFoundError(2, "No such file or directory", command[0])

    device = Device(tmp_path, missing, frozenset(Facet) - {Facet.NETWORK_ON})
    assert {check.name for check, problem in program.examine(device) if problem is None} == SAFE_IF_ABSENT


def test_an_expected_fault_must_be_there(appliance: Appliance) -> None:
    assert list(appliance.failing(faults=frozenset({"camera"}))) == ["recorder_answers"]
    appliance.answers["missed-moment status --json"] = '{"state": "off", "faults": {"camera": "no camera"}}'
    assert appliance.failing(faults=frozenset({"camera"})) == {}


def test_a_network_that_the_owner_turned_on_must_be_on(appliance: Appliance) -> None:
    appliance.write("/sys/class/net/eth0/flags", "0x1003\n")
    expected = EXPECTED | {Facet.NETWORK_ON}
    assert list(appliance.failing(expected)) == ["network_matches_its_setting"]
    appliance.answers["missed-moment setting network.enabled"] = "true\n"
    assert list(appliance.failing(expected)) == ["network_matches_its_setting"]
    appliance.answers["systemctl is-active missed-moment-network.target"] = "active\n"
    assert appliance.failing(expected) == {}


def test_what_a_device_is_by_itself_is_seen(appliance: Appliance) -> None:
    device = Device(appliance.root, appliance)
    hardware = {Facet.RASPBERRY_PI, Facet.WATCHDOG, Facet.PINS, Facet.DMA_HEAPS}
    assert observed(device) == {Facet.BOOTED, Facet.OWN_KERNEL, *hardware}
    for path in ("/dev/watchdog0", "/dev/gpiochip0", "/dev/dma_heap"):
        gone(path)(appliance)
    assert observed(device) >= hardware, "each Raspberry Pi has them"
    appliance.write("/proc/device-tree/model", "QEMU Virtual Machine\0")
    assert observed(device) == {Facet.BOOTED, Facet.OWN_KERNEL}
    appliance.write("/run/systemd/container", "systemd-nspawn\n")
    assert observed(device) == {Facet.BOOTED}
    gone("/run/systemd/system")(appliance)
    assert observed(device) == set()


def test_what_is_demanded_and_not_there_is_a_failure(appliance: Appliance) -> None:
    appliance.write("/run/systemd/container", "systemd-nspawn\n")
    device = Device(appliance.root, appliance, demanded(["booted,own-kernel", "raspberry-pi"]))
    assert list(program.is_there(device)) == ["this device is not own-kernel", "this device is not raspberry-pi"]


def test_the_roles_records_add_up(appliance: Appliance) -> None:
    assert recorded(Device(appliance.root, appliance)) == demanded(
        ["read-only,no-network", "no-consoles,usb-admission,dedicated"]
    )


def test_commands_run_without_a_terminal_and_with_both_outputs() -> None:
    assert run_command(["sh", "-c", "cat; echo out; echo err >&2; exit 3"]) == (3, "out\nerr\n")


def test_the_exit_status_counts_failures(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def device(**more: frozenset[Facet]) -> Device:
        return Device(appliance.root, appliance, **more)

    monkeypatch.setattr(program, "Device", device)
    monkeypatch.setattr(program.os, "geteuid", lambda: 0)
    assert program.main([]) == 0
    assert "NOT ok" not in capsys.readouterr().out
    gone("/dev/watchdog0")(appliance)
    gone("/etc/cloud/cloud-init.disabled")(appliance)
    assert program.main([]) == 2
    said = capsys.readouterr().out
    assert "NOT ok watchdog_is_fed: there is no /dev/watchdog0. Restart the Pi" in said
    assert "\nok kernel_is_whole\n" in said
    assert program.main(["--check=watchdog_is_fed"]) == 1
    assert program.main(["--check=kernel_is_whole"]) == 0
    assert capsys.readouterr().out.count("ok ") == 2
    assert program.main(["--expect=read-only", "--check=consoles_are_masked"]) == 0
    assert "not for this device: consoles_are_masked, which needs no-consoles" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="unknown: read-olny"):
        program.main(["--expect=read-olny"])
    demand = appliance.root / "demand"
    demand.write_text("read-only\nno-network")
    assert program.main([f"--expect-file={demand}", "--check=facets_are_recorded"]) == 1
    gone(_EXPECT_D)(appliance)
    assert program.main([]) == 1, "without word from the playbook nothing can be expected"
    monkeypatch.setattr(program.os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match="sudo missed-moment-doctor"):
        program.main([])


def test_one_more_name_of_a_masked_unit_is_masked_with_it(appliance: Appliance) -> None:
    """Newer systemd enables autovt@ as an alias of getty@."""
    alias = appliance.root / "etc/systemd/system/autovt@.service"
    alias.unlink()
    alias.symlink_to("/usr/lib/systemd/system/getty@.service")
    assert appliance.failing() == {}
    (alias.parent / "getty@.service").unlink()
    assert list(appliance.failing()) == ["consoles_are_masked"]
