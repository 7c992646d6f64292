"""Checks of the files, units and users that the roles install. They work in a chroot, too."""

import re

from missed_moment_doctor.device import CMDLINE, EXPORTER, RECORDER, UNITS, USER, Device, must
from missed_moment_doctor.expectations import EXPECTED, recorded
from missed_moment_doctor.facets import PLAYED, Facet

_EXPOSURE = {RECORDER: 10, EXPORTER: 20}
"""Tenths of what `systemd-analyze security` may call exposure: 0 is best, 100 worst."""
_NEVER = ("hibernate.target", "suspend.target", "systemd-coredump.socket")
_CONSOLES = ("autovt@.service", "console-getty.service", "getty@.service", "getty.target", "serial-getty@.service")
_NETWORK = (
    "NetworkManager.service",
    "avahi-daemon.service",
    "bluetooth.service",
    "rpcbind.socket",
    "ssh.service",
    "ssh.socket",
    "sshd-vsock.socket",
    "systemd-networkd.service",
    "wpa_supplicant.service",
)
_NETWORK_ON = "ConditionPathExists=/run/missed-moment-network"
_OFF = {"disabled", "masked", "masked-runtime", "not-found", "indirect"}
_KEPT = {"nodev", "nosuid", "noexec", "noatime", "errors=remount-ro"}
_LASTING = ("PARTUUID=", "UUID=", "LABEL=", "PARTLABEL=")
_IN_RAM = ("/tmp", "/var/tmp", "/var/log")  # noqa: S108 - mount points
_SSHD = "/usr/sbin/sshd"
_ADMISSION = "/etc/udev/rules.d/89-missed-moment-admission.rules"


def facets_are_recorded(device: Device) -> None:
    """Each role has recorded the facets of its variables, and the expected facets are the same."""
    found = recorded(device)
    must(found == device.expected & PLAYED, f"{EXPECTED} has {sorted(found)}, not {sorted(device.expected & PLAYED)}")


def command_works(device: Device) -> None:
    """The command is in the path and runs on Debian's own libraries."""
    output = device.run("missed-moment", "--version")
    must(re.search(r"\d+\.\d+", output) is not None, output)


def store_and_settings_are_good(device: Device) -> None:
    """The recorder's own check, by its own user, finds nothing bad."""
    output = device.run("runuser", "-u", USER, "--", "missed-moment", "check")
    must("all settings are good" in output, output)


def settings_file_explains_every_key(device: Device) -> None:
    """Each of the recorder's keys is in the settings file, a default wherever it is commented out."""
    program = f"""
import re, sys, tomllib
from pathlib import Path
from missed_moment.config import Settings, parse
text = Path({device.settings_file()!r}).read_text()
full = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.M)
problems = [*parse(text).problems, *parse(full).problems]
tables, chosen = tomllib.loads(full), tomllib.loads(text)
for name, table in Settings():
    there = tables.pop(name, {{}})
    if set(there) != set(type(table).model_fields):
        problems.append(f"[{{name}}] has {{sorted(there)}}")
    for key, default in table.model_dump().items():
        if key not in chosen.get(name, {{}}) and default is not None and there.get(key) != default:
            problems.append(f"{{name}}.{{key}} is {{default}} and not {{there.get(key)}}")
problems += [f"[{{name}}] is unknown" for name in tables]
sys.exit("; ".join(map(str, problems)) or None)
"""
    device.run(device.python(), "-c", program)


def user_is_as_small_as_can_be(device: Device) -> None:
    """The user may use devices and owns nothing else: no home, no shell, a group of its own."""
    name, _, uid, _, _, home, shell = device.run("getent", "passwd", USER).strip().split(":")
    must((name, home, shell) == (USER, "/nonexistent", "/usr/sbin/nologin"), (name, home, shell))
    must(0 < int(uid) < 1000, f"its number is {uid}")
    groups = device.run("id", "-nG", USER).split()
    must(groups[:1] == [USER] and {"audio", "gpio", "video"} <= set(groups), f"its groups are {groups}")
    must(not {"sudo", "adm", "root"} & set(groups), f"its groups are {groups}")


def moments_are_private(device: Device) -> None:
    """Moments are for the recorder and the operators."""
    found = device.run("stat", "-c", "%U:%G %a %n", "/data", "/data/clips").splitlines()
    must(found == ["root:root 755 /data", f"{USER}:{USER} 2770 /data/clips"], found)


def rest_is_root_s(device: Device) -> None:
    """Programs, units, rules and settings belong to root, and nobody else can write to them."""
    places = [device.settings_file(), "/opt/missed-moment", "/usr/local/bin/missed-moment", "/etc/missed-moment"]
    places += ["/usr/local/bin/missed-moment-doctor", "/usr/local/lib/missed-moment-doctor"]
    places += [*device.find(UNITS, "missed-moment*"), *device.find("/etc", "*.d/*missed-moment*")]
    places += [*device.find("/etc/systemd", "*.d/*missed-moment*")]
    places += [*device.find("/etc/udev/rules.d", "*missed-moment*")]
    others = ("(", "!", "-user", "root", "-o", "!", "-type", "l", "-perm", "/022", ")")
    stray = device.run("find", *places, *others, "-printf", r"%u:%g %m %p\n")
    must(not stray, stray)


def recorder_starts_at_boot(device: Device) -> None:
    """The unit is enabled."""
    state = device.run("systemctl", "is-enabled", RECORDER, good=(0, 1, 4)).strip()
    must(state == "enabled", f"{RECORDER} is {state}")


def units_are_sound(device: Device) -> None:
    """`systemd-analyze verify` finds nothing to complain of in the units."""
    for unit in device.units():
        output = device.run("systemd-analyze", "verify", "--man=no", f"{UNITS}/{unit}")
        must(not output, output)


def units_are_locked_in(device: Device) -> None:
    """The sandboxes are as tight as they were meant to be."""
    for unit in device.units():
        device.run(
            "systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={_EXPOSURE[unit]}", unit
        )


def rules_are_sound(device: Device) -> None:
    """Udev understands the rules."""
    rules = device.find("/etc/udev/rules.d", "*missed-moment*")
    must(bool(rules), "there is no rule of ours in /etc/udev/rules.d")
    device.run("udevadm", "verify", "--no-summary", *rules)


def memory_stays_in_memory(device: Device) -> None:
    """There is no swap to come, no core dump, no hibernation, and a journal that is gone with the power."""
    swap = [" ".join(entry) for entry in device.fstab().values() if entry[2] == "swap"]
    must(not swap, f"/etc/fstab has {swap}")
    for unit in _NEVER:
        must(device.is_masked(unit), f"{unit} is not masked")
    for file, key, wanted in (("journald.conf", "Storage", "volatile"), ("system.conf", "DefaultLimitCORE", "0")):
        found = device.configured(file, key)
        must(found == wanted, f"{key}={found} in systemd's {file}, not {wanted}")


def fstab_is_read_only(device: Device) -> None:
    """/ and /boot/firmware are read-only in fstab, and /data is a partition with a lasting name."""
    fstab = device.fstab()
    for place in ("/", "/boot/firmware", "/data", *_IN_RAM, "/var/lib/systemd"):
        must(place in fstab, f"/etc/fstab does not mention {place}")
    options = {place: set(entry[3].split(",")) for place, entry in fstab.items()}
    for place in ("/", "/boot/firmware"):
        must("ro" in options[place], f"{place} has {fstab[place][3]}, without ro")
    data = fstab["/data"]
    must(options["/data"] >= _KEPT, f"/data has {data[3]}, without {sorted(_KEPT - options['/data'])}")
    must(data[5] == "2", "/data is not checked at boot")
    must(data[0].startswith(_LASTING), f"/data is {data[0]}: another disk may have that name tomorrow")
    for place in _IN_RAM:
        must(fstab[place][2] == "tmpfs", f"{place} is {fstab[place][2]}, not tmpfs")
    state = fstab["/var/lib/systemd"]
    must(state[2] == "tmpfs" or "bind" in state[3].split(","), f"/var/lib/systemd is {state}, neither tmpfs nor bound")
    must(device.is_masked("apt-daily.timer"), "apt-daily.timer is not masked")


def command_line_suits_read_only_root(device: Device) -> None:
    """The kernel's command line has fsck.repair=yes, and no word that grows / over /data."""
    words = device.read(CMDLINE).split()
    must("fsck.repair=yes" in words, f"{CMDLINE} has no fsck.repair=yes")
    growing = [word for word in words if word == "resize" or "init_resize" in word]
    must(not growing, f"{CMDLINE} has {growing}")


def cloud_init_is_disabled(device: Device) -> None:
    """cloud-init is not installed, or disabled."""
    there = device.exists("/usr/bin/cloud-init")
    off = device.exists("/etc/cloud/cloud-init.disabled")
    must(off or not there, "cloud-init is installed and /etc/cloud/cloud-init.disabled is missing")


def network_units_are_off(device: Device) -> None:
    """Units of the network are off, or start only while the owner's setting has turned it on."""
    for unit in _NETWORK:
        state = device.run("systemctl", "is-enabled", unit, good=(0, 1, 4)).split()[-1]
        condition = f"{UNITS}/{unit}.d/90-missed-moment-network.conf"
        conditional = device.exists(condition) and _NETWORK_ON in device.read(condition).splitlines()
        must(state in _OFF or conditional, f"{unit} is {state}")
    state = device.run("systemctl", "is-enabled", "missed-moment-network.service", good=(0, 1, 4)).strip()
    must(state == "enabled", f"missed-moment-network.service is {state}")


def passwords_are_refused(device: Device) -> None:
    """OpenSSH's server accepts keys only, with all drop-ins of other packages."""
    if not device.exists(_SSHD):
        return  # nobody gets in over ssh at all
    output = device.run(_SSHD, "-G").lower().splitlines()
    for option in ("passwordauthentication no", "kbdinteractiveauthentication no"):
        found = [line for line in output if line.startswith(option.split()[0] + " ")]
        must(found == [option], f"sshd takes {found}, not {option}")


def consoles_are_masked(device: Device) -> None:
    """The units for a login on a screen or a serial port are masked."""
    open_ = [unit for unit in _CONSOLES if not device.is_masked(unit)]
    must(not open_, f"not masked: {open_}")


def usb_admission_is_set_up(device: Device) -> None:
    """The kernel's command line stops it from authorizing USB devices by itself, and the udev rule is installed."""
    must("usbcore.authorized_default=0" in device.read(CMDLINE).split(), f"{CMDLINE} does not say so")
    must(device.exists(_ADMISSION), f"{_ADMISSION} is missing: no stick would be admitted")


def picamera2_and_lgpio_can_be_imported(device: Device) -> None:
    """Picamera2 and lgpio can be imported by the recorder's Python."""
    device.run(device.python(), "-c", "import lgpio, picamera2")


INSTALLED = (
    (facets_are_recorded, ()),
    (command_works, ()),
    (store_and_settings_are_good, ()),
    (settings_file_explains_every_key, ()),
    (user_is_as_small_as_can_be, ()),
    (moments_are_private, ()),
    (rest_is_root_s, ()),
    (recorder_starts_at_boot, ()),
    (units_are_sound, ()),
    (units_are_locked_in, ()),
    (rules_are_sound, ()),
    (memory_stays_in_memory, ()),
    (fstab_is_read_only, (Facet.READ_ONLY,)),
    (command_line_suits_read_only_root, (Facet.READ_ONLY,)),
    (cloud_init_is_disabled, (Facet.READ_ONLY,)),
    (network_units_are_off, (Facet.NO_NETWORK,)),
    (passwords_are_refused, (Facet.NO_NETWORK,)),
    (consoles_are_masked, (Facet.NO_CONSOLES,)),
    (usb_admission_is_set_up, (Facet.USB_ADMISSION,)),
    (picamera2_and_lgpio_can_be_imported, (Facet.RASPBERRY_PI,)),
)
"""Each check with the facets that it needs."""
