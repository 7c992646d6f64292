"""The facets that a device is expected to have: recorded by the playbook, demanded by a test, or observed."""

import json
from collections.abc import Iterable

from missed_moment_doctor.device import Broken, Device, must
from missed_moment_doctor.facets import Facet

EXPECTED = "/etc/missed-moment/expect.d"
"""Each role writes a JSON list of facets here, as its variables asked for them: ROLE.json."""
ROLES = ("hardening", "privacy", "readonly_root")

_ON_A_RASPBERRY_PI = frozenset({Facet.WATCHDOG, Facet.PINS, Facet.DMA_HEAPS})


def demanded(words: Iterable[str]) -> frozenset[Facet]:
    """Return the facets in comma-separated lists. Raises Broken for an unknown one."""
    names = [name for word in words for name in word.split(",") if name]
    unknown = sorted(set(names) - set(Facet))
    must(not unknown, f"unknown: {', '.join(unknown)}. Known are {', '.join(Facet)}")
    return frozenset(map(Facet, names))


def recorded(device: Device) -> frozenset[Facet]:
    """Return the facets that the roles have recorded. Raises Broken if a role's file is missing or unreadable."""
    facets: set[Facet] = set()
    for role in ROLES:
        path = f"{EXPECTED}/{role}.json"
        must(device.exists(path), f"{path} is missing: the role {role} did not run")
        words = json.loads(device.read(path))
        if not isinstance(words, list):
            raise Broken(f"{path} is not a list")
        facets |= demanded(map(str, words))
    return frozenset(facets)


def observed(device: Device) -> frozenset[Facet]:
    """Return the facets of the machine itself: whether it is booted, and its hardware."""
    facets: set[Facet] = set()
    if device.path("/run/systemd/system").is_dir():  # as sd_booted(3) does
        facets.add(Facet.BOOTED)
        if not device.exists("/run/systemd/container"):
            facets.add(Facet.OWN_KERNEL)
            facets |= _hardware(device)
    return frozenset(facets)


def _hardware(device: Device) -> set[Facet]:
    facets: set[Facet] = set()
    model = device.path("/proc/device-tree/model")
    if model.exists() and model.read_text().startswith("Raspberry Pi"):
        facets |= {Facet.RASPBERRY_PI, *_ON_A_RASPBERRY_PI}
    for facet, directory, pattern in (
        (Facet.WATCHDOG, "/dev", "watchdog0"),
        (Facet.PINS, "/dev", "gpiochip*"),
        (Facet.DMA_HEAPS, "/dev/dma_heap", "*"),
    ):
        if device.find(directory, pattern):
            facets.add(facet)
    return facets


def network_is_on(device: Device) -> bool:
    """Return whether the owner's setting turns the network on. Raises Broken if the recorder's command fails."""
    value = device.run("missed-moment", "setting", "network.enabled", good=(0, 1)).strip()
    must(value in {"true", "false"}, f"network.enabled cannot be read: {value}")
    return value == "true"
