"""The plug is pulled, again and again, whatever the device is doing."""

import os
import random
import threading
from functools import partial

import pytest

from machines.virtual_device import VirtualDevice

CUTS = int(os.environ.get("MISSED_MOMENT_CUTS", "3"))
_CUTS_A_CARD = 20
"""So many times each card has its plug pulled; then comes a new one."""
_BUSY_S = 8.0
"""A moment is pressed for, kept, followed and finished within about this."""


@pytest.mark.timeout(2 * 3600)
@pytest.mark.parametrize("first", range(0, CUTS, _CUTS_A_CARD))
def test_the_plug_is_pulled_at_any_time(fresh: VirtualDevice, first: int) -> None:
    """What was said to be kept is there after each start, and plays; it records again, and nobody helps it."""
    chance = random.Random(first)  # noqa: S311 - the same times each time
    cuts, owed = min(_CUTS_A_CARD, CUTS - first), 0
    for cut in range(cuts + 1):
        fresh.wait_until(lambda: fresh.state() == "recording", 240, f"it records after {cut} cuts")
        assert fresh.run("systemctl", "list-units", "--failed", "--plain", "--no-legend") == ""
        moments = fresh.moments()
        assert len(moments) >= owed, f"after {cut} cuts, {owed} moments are owed: {moments}"
        if moments:
            fresh.run("missed-moment", "check", moments[-1]["clip"])
        if cut == cuts:
            break
        pressed = fresh.press()
        if cut == cuts - 1:  # at least one promise was made, whatever the chances were
            fresh.wait_until(partial(_was_kept, fresh, pressed), 60, "the LED says kept")
        else:
            threading.Event().wait(chance.uniform(0, _BUSY_S))
        owed = len(moments) + _was_kept(fresh, pressed)
        fresh.power_cut()
        fresh.switch_on()
    fresh.run("missed-moment", "check", *(moment["clip"] for moment in moments))
    print(f"{cuts} cuts, {len(moments)} moments")


def _was_kept(device: VirtualDevice, pressed: float) -> bool:
    return "kept" in device.led_names(pressed)
