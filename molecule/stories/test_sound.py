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
CLAPS = 30
PRESSES = 14
"""So that the moment lasts for about 25 s, and most claps are in it."""
EVEN = 21
"""So many claps meet the pictures' time so evenly that their mean says when they are seen, to 7 ms: each comes a
golden ratio of a picture later than the one before, and this is a Fibonacci number. (With nine it is 21 ms.)"""


def test_sound_is_in_sync(device: VirtualDevice) -> None:
    """From the microphone and the camera through button, disk and stick, measured from the file."""
    assert device.status()["sound"] == "on"
    before = len(device.moments())
    device.clap(CLAPS)
    device.press_often(PRESSES)
    device.wait_until(lambda: len(device.moments()) == before + 1, 90, "the moment is finished")

    stick = Stick(device.place / "stick", "vfat")
    device.pull(plug_until_solid(device, stick))
    with tempfile.TemporaryDirectory() as scratch:
        stick.copy_out(Path(scratch))
        newest = max(Path(scratch).rglob("*.mp4"))
        early_ms = [-1000 * offset for offset in sync.measure(newest, chirps)][:EVEN]
    assert len(early_ms) == EVEN, early_ms
    apart_ms = [each - STAMPED_MS - PICTURE_MS / 2 for each in early_ms]
    all_of_them = " ".join(f"{each:.0f}" for each in apart_ms)
    print(f"heard {statistics.mean(apart_ms):.1f} ms before it is seen, on average of {all_of_them}")
    assert abs(statistics.mean(apart_ms)) <= TOLERANCE_MS, all_of_them
    assert max(map(abs, apart_ms)) <= PICTURE_MS / 2 + 2 * TOLERANCE_MS, all_of_them
