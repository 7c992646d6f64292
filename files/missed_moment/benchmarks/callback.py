"""(b) What the capture callback costs per packet while a save runs: on a good disk, a slow one, a stopped one."""

import statistics
import threading
from pathlib import Path
from typing import Any

from material import BEFORE_S, BITRATE, Player
from missed_moment.board import Board
from missed_moment.clips.inspect import inspect_clip
from missed_moment.config import Loaded, MomentSettings, Settings, VideoSettings
from missed_moment.durable import LocalDisk
from missed_moment.services.recorder import Recorder
from slow_disk import SlowDisk, slow_disk

SLOW = 5_000_000
STOPPED_S = 30


def measure(directory: Path) -> dict[str, Any]:
    """Press on a good disk, on a slow one, and on one that stands still for 30 s."""
    results: dict[str, Any] = {}
    with slow_disk(directory) as disk:
        results["quick disk"] = _press(disk)
        disk.slow_down(SLOW)
        results["5 MB/s"] = _press(disk)
        disk.slow_down(0)
        results[f"stopped for {STOPPED_S} s"] = _press(disk, stopped=True)
    return results


def _press(disk: SlowDisk, stopped: bool = False) -> dict[str, Any]:
    settings = Settings(
        video=VideoSettings(bitrate_mbps=BITRATE / 1e6), moment=MomentSettings(before_s=BEFORE_S, after_s=5)
    )
    player = Player(prefilled_s=BEFORE_S + 2)
    store = disk.mount / "store"
    recorder = Recorder(Loaded(settings), player, None, store, LocalDisk(), Board(), lambda _: None)
    recorder.start()
    waited = threading.Event()
    while recorder.ring.state().seconds < BEFORE_S:
        waited.wait(0.05)
    player.costs_ns.clear()
    if stopped:
        with disk.stopped():
            recorder.press()
            waited.wait(STOPPED_S)
    else:
        recorder.press()
        waited.wait(8)  # at least its post-roll
    saved = recorder.wait_saved(180)
    costs = sorted(player.costs_ns)
    status = recorder.status()
    recorder.stop()
    clips = [inspect_clip(moment.clip).pictures for moment in recorder.catalogue.moments()]
    for moment in recorder.catalogue.moments():
        recorder.catalogue.remove(moment)
    return {
        "packets": len(costs),
        "p50_us": statistics.median(costs) / 1000,
        "p99_us": costs[len(costs) * 99 // 100] / 1000,
        "max_us": costs[-1] / 1000,
        "lost": status.frames.lost + status.frames.unusable,
        "saved": saved,
        "pictures_in_clip": clips,
    }
