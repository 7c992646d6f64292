"""Somebody claps in front of the camera: in the clip on the stick, it is heard when it is seen."""

import statistics
import tempfile
from pathlib import Path

from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from missed_moment import sync
from sound_rig import chirps
from stories.filling import plug_until_solid

PICTURE_MS = 200
"""How long the device's camera takes for a picture: a clap is seen in the next one, half of that later on average."""
STAMPED_MS = 180
"""It stamps a picture when nine tenths of that are over (Linux, vivid-kthread-cap.c: cap_frame_eof_offset)."""
TOLERANCE_MS = 20
CLAPS = 18
PRESSES = 4


def test_sound_is_in_sync(device: VirtualDevice) -> None:
    """From the microphone and the camera through button, disk and stick, measured from the file."""
    assert device.status()["sound"] == "on"
    before = len(device.moments())
    clapping = device.clap(CLAPS)
    device.wait_until(lambda: device.now() > clapping + 7, 60, "there was some clapping")
    for _ in range(PRESSES):  # each lets the moment grow
        device.press(2)
    device.wait_until(lambda: len(device.moments()) == before + 1, 90, "the moment is finished")

    stick = Stick(device.place / "stick", "vfat")
    device.pull(plug_until_solid(device, stick))
    with tempfile.TemporaryDirectory() as scratch:
        stick.copy_out(Path(scratch))
        newest = max(Path(scratch).rglob("*.mp4"))
        early_ms = [-1000 * offset for offset in sync.measure(newest, chirps)]
    assert len(early_ms) >= 9, early_ms
    apart_ms = [each - STAMPED_MS - PICTURE_MS / 2 for each in early_ms]
    assert abs(statistics.mean(apart_ms)) <= TOLERANCE_MS, early_ms
    assert max(map(abs, apart_ms)) <= PICTURE_MS / 2 + 2 * TOLERANCE_MS, early_ms
