"""Measure everything side by side in one run: a table on the terminal, JSON in `results/`.

Absolute times are this machine's, and it may be busy: the ratios are what counts.
"""

import json
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
from rich.console import Console
from rich.table import Table

import callback
import handing_over
import insync
import kept
import listening
import memory
import slow_disk

HERE = Path(__file__).parent

PARTS: dict[str, tuple[str, Callable[[Path], dict[str, Any]], Callable[[], str | None]]] = {
    "kept": ("(a, d) press to kept: 60 s at 10 Mbit/s", kept.measure, lambda: None),
    "callback": ("(b) one packet in the capture callback, while a save runs", callback.measure, slow_disk.missing),
    "sync": ("(e) sound and picture, in finished clips", insync.measure, lambda: None),
    "handing over": ("(g) copied and verified", handing_over.measure, slow_disk.missing),
    "listening": ("(f) listening, without end", listening.measure, lambda: None),
    "memory": ("(c) memory over twelve simulated hours", memory.measure, lambda: None),
}


def main(names: list[str]) -> None:
    """Run the parts named, or all."""
    results: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "pyav": av.__version__,
        "machine": platform.machine(),
    }
    console = Console()
    for name in names or PARTS:
        title, measure, missing = PARTS[name]
        if reason := missing():
            console.print(f"{title}: not measured here, because {reason}")
            continue
        with tempfile.TemporaryDirectory(dir=HERE, prefix=".disk-") as directory:
            results[name] = measure(Path(directory))
        console.print(_table(title, results[name]))
    target = HERE / "results" / f"{platform.machine()}.json"
    known = json.loads(target.read_text()) if names and target.exists() else {}
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({**known, **results}, indent=2) + "\n")
    console.print(f"written to {target}")


def _table(title: str, result: dict[str, Any]) -> Table:
    """Lay a result out: one row a figure, or, where there are several runs, one row a run."""
    runs = {name: value for name, value in result.items() if isinstance(value, dict)}
    table = Table(title=title, title_justify="left")
    if runs:
        table.add_column("")
        for figure in next(iter(runs.values())):
            table.add_column(figure, justify="right")
        for name, run in runs.items():
            table.add_row(name, *map(_figure, run.values()))
    else:
        table.add_column("figure")
        table.add_column("value", justify="right")
        for name, value in result.items():
            table.add_row(name, _figure(value))
    return table


def _figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return " ".join(map(_figure, value))
    return str(value)


if __name__ == "__main__":
    main(sys.argv[1:])
