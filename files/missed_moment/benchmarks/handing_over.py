"""(g) Handing over: copied, synced, read back past the cache and compared.

Beside what a careful person would type: `cp`, `sync`, drop the caches, `cmp`. The same files onto the same disk, once
as fast as this machine's and once as a good stick's. Each round runs both; ratios are taken round by round.
"""

import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import slow_disk
from material import BEFORE_S, VIDEO, film
from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.export.handover import FOLDER, HandOver
from rig import order_of, writer_for

CLIPS, ROUNDS = 3, 5
STICK = 20_000_000
"""Bytes a second."""
_CACHES = Path("/proc/sys/vm/drop_caches")


def measure(directory: Path) -> dict[str, Any]:
    """Hand the same moments over, again and again."""
    catalogue = _moments(directory / "store")
    clips = [moment.clip for moment in catalogue.moments()]
    results: dict[str, Any] = {"megabytes": sum(clip.stat().st_size for clip in clips) / 1e6, "rounds": ROUNDS}
    with slow_disk.slow_disk(directory) as disk:
        for name, speed in (("this_disk", 0), ("a_stick", STICK)):
            disk.slow_down(speed)
            rows = [(_by_hand(clips, disk.mount), _ours(catalogue, disk.mount)) for _ in range(ROUNDS)]
            results[f"{name}_by_hand_s"] = statistics.median(hand for hand, _ in rows)
            results[f"{name}_ours_s"] = statistics.median(ours for _, ours in rows)
            results[f"{name}_throughput_over_by_hand"] = statistics.median(hand / ours for hand, ours in rows)
    return results


def _moments(store: Path) -> Catalogue:
    _, writer = writer_for(store)
    for _ in range(CLIPS):
        writer.write(order_of(film(BEFORE_S / 2), video=VIDEO), lambda _: None)
    return Catalogue(store, LocalDisk())


def _by_hand(clips: list[Path], stick: Path) -> float:
    _forget_all(stick)
    (stick / "by-hand").mkdir()
    before = time.perf_counter()
    for number, clip in enumerate(clips):
        subprocess.run(["cp", clip, stick / "by-hand" / str(number)], check=True)
    subprocess.run(["sync", "--file-system", stick], check=True)
    _CACHES.write_text("3")
    for number, clip in enumerate(clips):
        subprocess.run(["cmp", clip, stick / "by-hand" / str(number)], check=True)
    return time.perf_counter() - before


def _ours(catalogue: Catalogue, stick: Path) -> float:
    _forget_all(stick)
    for moment in catalogue.moments():
        (moment.path / "exported.json").unlink(missing_ok=True)
    before = time.perf_counter()
    report = HandOver(catalogue, stick).run()
    subprocess.run(["sync", "--file-system", stick], check=True)
    if len(report.copied) != CLIPS:
        raise RuntimeError(report.trouble)
    return time.perf_counter() - before


def _forget_all(stick: Path) -> None:
    for path in (stick / "by-hand", stick / FOLDER):
        if path.exists():
            shutil.rmtree(path)
    _CACHES.write_text("3")
