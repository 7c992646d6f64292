"""(a) From the press until the minute is on the disk, without and with sound, and (d) what that costs the processor.

On this machine's disk, and on one that is as fast as a good SD card. Beside a plain sequential write and sync of the
same bytes, and beside picamera2's own CircularOutput2 into its PyavOutput, fed the same packets. Each round runs all of
them; ratios are taken round by round.
"""

import importlib
import os
import shutil
import statistics
import sys
import time
import types
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

import slow_disk
from material import BEFORE_S, VIDEO, film
from missed_moment.board import Board
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.room import Room
from missed_moment.clips.writer import Label, MomentWriter, Order
from missed_moment.clock import NS
from missed_moment.durable import LocalDisk
from missed_moment.packets import PcmBlock, VideoPacket
from missed_moment.ring import Ring
from sound_rig import SoundCard, jitter

ROUNDS, CARD_ROUNDS = 9, 3
CARD = 20_000_000
"""Bytes a second that a good SD card writes."""
_MIB = 1024 * 1024


def plain(packets: list[VideoPacket], directory: Path) -> float:
    """Write the same bytes in a row, sync file and directory; seconds."""
    data = b"".join(packet.data for packet in packets)
    before = time.perf_counter()
    descriptor = os.open(directory / "plain", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    view = memoryview(data)
    for start in range(0, len(view), _MIB):
        os.write(descriptor, view[start : start + _MIB])
    os.fsync(descriptor)
    os.close(descriptor)
    parent = os.open(directory, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)
    return time.perf_counter() - before


def ours(packets: list[VideoPacket], blocks: list[PcmBlock], directory: Path) -> tuple[float, float]:
    """Press, until it is reported kept; (seconds, CPU seconds of the whole save)."""
    catalogue = Catalogue(directory / f"store {len(blocks)}", LocalDisk())
    catalogue.prepare()
    writer = MomentWriter(catalogue, Room(catalogue, "stop", timedelta(days=30)), Board(), Label("bench"))
    ring = Ring(BEFORE_S + 10, 2**30)
    for packet in packets:
        ring.push_video(packet)
    for block in blocks:
        ring.push_pcm(block)
    kept: list[float] = []
    cpu, before = time.process_time(), time.perf_counter()
    take = ring.follow(packets[0].pts_ns)
    ring.cut(take)
    writer.write(Order(take, VIDEO, (0,), room=0, audible=bool(blocks)), lambda _: kept.append(time.perf_counter()))
    return kept[0] - before, time.process_time() - cpu


def picamera2(packets: list[VideoPacket], more: list[VideoPacket], directory: Path) -> tuple[float, float]:
    """Press, and film on until the whole pre-roll was handed to the file; (seconds of work, seconds of film)."""
    circular_output, pyav_output = _peer()
    circular = circular_output(buffer_duration_ms=BEFORE_S * 1000)
    circular.start()
    circular._add_stream("video", "h264", rate=30, width=VIDEO.width, height=VIDEO.height)  # noqa: SLF001
    for packet in packets:
        circular.outputframe(packet.data, packet.keyframe, packet.pts_ns // 1000)
    output = pyav_output(str(directory / "peer.mp4"))
    before = time.perf_counter()
    circular.open_output(output)
    film_s = 0.0
    pressed_us = packets[-1].pts_ns // 1000
    for packet in more:
        circular.outputframe(packet.data, packet.keyframe, packet.pts_ns // 1000)
        film_s = (packet.pts_ns // 1000 - pressed_us) / 1e6
        if circular._circular[0][2] > pressed_us:  # noqa: SLF001 - everything from before the press has left it
            break
    circular.close_output()
    descriptor = os.open(directory / "peer.mp4", os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - before, film_s


def import_peer() -> Path:
    """Make picamera2's parts importable without its camera half, which needs libcamera; returns where it is."""
    from importlib.metadata import files  # noqa: PLC0415

    marker = next(path for path in files("picamera2") or [] if path.name == "circularoutput2.py")
    root = Path(str(marker.locate())).parents[1]
    for name, path in (("picamera2", root), ("picamera2.outputs", root / "outputs")):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__path__ = [str(path)]
            sys.modules[name] = module
    outputs = sys.modules["picamera2.outputs"]
    outputs.Output = importlib.import_module("picamera2.outputs.output").Output  # type: ignore[attr-defined]
    return root


def _peer() -> tuple[Any, Any]:
    import_peer()
    from picamera2.outputs import circularoutput2, pyavoutput  # noqa: PLC0415

    pyavoutput.av, pyavoutput.Fraction = av, Fraction
    return circularoutput2.CircularOutput2, pyavoutput.PyavOutput


def measure(directory: Path) -> dict[str, Any]:
    """Run all rounds."""
    everything = film(2 * BEFORE_S + 2)
    packets, more = everything[: BEFORE_S * 30], everything[BEFORE_S * 30 :]
    blocks = list(SoundCard(0, 150, jitter(1)).hear(0, BEFORE_S * NS))
    rows = []
    for _ in range(ROUNDS + 1):
        plain_s = plain(packets, directory)
        kept_s, cpu_s = ours(packets, [], directory)
        heard_s, heard_cpu_s = ours(packets, blocks, directory)
        peer_s, film_s = picamera2(packets, more, directory)
        rows.append((plain_s, kept_s, kept_s / plain_s, cpu_s, heard_s, heard_s / plain_s, heard_cpu_s, peer_s, film_s))
        _empty(directory)
    rows = rows[1:]  # the first one warms up
    columns = [statistics.median(column) for column in zip(*rows, strict=True)]
    names = ["plain_s", "kept_s", "kept_over_plain", "cpu_s_of_a_save", "with_sound_s", "with_sound_over_plain",
             "cpu_s_with_sound", "picamera2_work_s", "picamera2_film_s"]  # fmt: skip
    return {
        "megabytes": sum(len(packet.data) for packet in packets) / 1e6,
        "rounds": ROUNDS,
        **dict(zip(names, columns, strict=True)),
        "kept_over_plain_min_max": [min(row[2] for row in rows), max(row[2] for row in rows)],
        **_on_a_card(packets, blocks, directory),
    }


def _on_a_card(packets: list[VideoPacket], blocks: list[PcmBlock], directory: Path) -> dict[str, Any]:
    """Measure once more where the disk is what takes the time, as on a board."""
    if slow_disk.missing():
        return {}
    rows = []
    with slow_disk.slow_disk(directory) as disk:
        disk.slow_down(CARD)
        for _ in range(CARD_ROUNDS):
            plain_s = plain(packets, disk.mount)
            (kept_s, _), (heard_s, _) = ours(packets, [], disk.mount), ours(packets, blocks, disk.mount)
            rows.append((plain_s, kept_s / plain_s, heard_s / plain_s))
            _empty(disk.mount)
    names = ["card_plain_s", "card_kept_over_plain", "card_with_sound_over_plain"]
    return dict(zip(names, (statistics.median(column) for column in zip(*rows, strict=True)), strict=True))


def _empty(directory: Path) -> None:
    for left in directory.iterdir():
        if left.name != "lost+found":
            shutil.rmtree(left) if left.is_dir() else left.unlink()
