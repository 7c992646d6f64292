"""What the command line prints as tables."""

from collections.abc import Iterable
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from missed_moment.clips.catalogue import Moment
from missed_moment.errors import ClipError
from missed_moment.services.status import Status


def status_table(status: Status) -> Table:
    """Lay out what the recorder tells of itself; faults stand out."""
    table = Table(show_header=False, box=None)
    table.add_row("state", f"{status.state} (LED: {status.led})")
    table.add_row("camera", f"{status.camera}, {status.video}")
    table.add_row("sound", status.sound)
    table.add_row("ring", f"{status.ring.seconds:.1f} s, {status.ring.bytes / 1e6:.1f} MB")
    table.add_row("frames", f"{status.frames.seen} seen, {status.frames.lost} lost")
    table.add_row("moments", f"{status.store.moments} stored, {status.store.not_exported} on no stick yet")
    table.add_row("room", f"{status.store.free_bytes / 1e9:.2f} GB free")
    if status.stick != "none":
        table.add_row("stick", f"{status.stick}, {status.copied:.0%}" if status.stick == "copying" else status.stick)
    if status.temperature_c is not None:
        table.add_row("temperature", f"{status.temperature_c:.0f} °C")
    if power := status.power.text:
        table.add_row("power", power)
    if any(restarts := status.restarts.model_dump().values()):
        table.add_row("restarts", "camera {}, recorder {}, board {}".format(*restarts))
    for fault, message in status.faults.items():
        table.add_row(Text(fault, "red"), Text(message))  # "[video] ..." in a message is no markup
    table.add_row("versions", ", ".join(f"{name} {version}" for name, version in status.versions.items()))
    return table


def clip_row(moment: Moment) -> dict[str, Any]:
    """Describe a moment in plain values; what its `moment.json` would tell is None where that cannot be read."""
    try:
        info = moment.info()
    except ClipError:
        info = None
    return {
        "sequence": moment.sequence,
        "start": info.start.isoformat(timespec="seconds") if info else None,
        "clock_certain": bool(info and info.clock_certain),
        "duration_s": info.duration_s if info else None,
        "bytes": moment.size,
        "exported": moment.exported is not None,
        "recovered": bool(info and info.recovered),
        "clip": str(moment.clip),
    }


def clips_table(rows: Iterable[dict[str, Any]]) -> Table:
    """Lay out what `clip_row` returned of each moment."""
    where = Column("clip", overflow="fold")
    table = Table("moment", "start (UTC)", "length", "size", "on a stick", where, box=None)
    for row in rows:
        start = f"{row['start'] or '?'}".removesuffix("+00:00")
        table.add_row(
            str(row["sequence"]),
            start if row["clock_certain"] else f"{start} (clock not certain)",
            f"{row['duration_s'] or 0:.0f} s" + (" (recovered)" if row["recovered"] else ""),
            f"{row['bytes'] / 1e6:.1f} MB",
            "yes" if row["exported"] else "no",
            row["clip"],
        )
    return table
