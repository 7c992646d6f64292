"""The image's fstab: what systemd makes of it, and which of its entries the system cannot do without."""

import re

from imaging import REPOSITORY

TEMPLATE = (REPOSITORY / "image" / "templates" / "fstab.j2").read_text()
ENTRY = re.compile(r"^\S+ }}-\d\d (?P<target>\S+) \S+ (?P<options>\S+) \d (?P<pass>\d)$", re.MULTILINE)


def test_a_damaged_boot_partition_is_no_emergency() -> None:
    """It is not required, what comes after local file systems still comes after it, and nothing waits 90 s for it."""
    options = {found["target"]: found["options"].split(",") for found in ENTRY.finditer(TEMPLATE.replace("{{ ", ""))}
    assert set(options) == {"/boot/firmware", "/"}
    boot = options["/boot/firmware"]
    assert {"nofail", "x-systemd.before=local-fs.target"} <= set(boot)
    (limit,) = (option.partition("=")[2] for option in boot if option.startswith("x-systemd.device-timeout="))
    assert int(limit.removesuffix("s")) <= 10
