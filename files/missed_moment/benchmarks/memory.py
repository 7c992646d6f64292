"""(c) Memory beyond the payload, and whether it grows: twelve hours of film through the ring, as fast as it goes."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from material import BEFORE_S, VIDEO, encoded, packet
from missed_moment.ring import Ring

HOURS = 12
_PAGE = resource.getpagesize()


def measure(_: Path) -> dict[str, Any]:
    """Run in a process of its own, whose memory holds nothing else."""
    here = Path(__file__)
    run = subprocess.run([sys.executable, here], check=True, capture_output=True, text=True, env=_environment(here))
    result: dict[str, Any] = json.loads(run.stdout)
    return result


def _environment(here: Path) -> dict[str, str]:
    return {"PYTHONPATH": f"{here.parent}:{here.parents[1] / 'src'}"}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _twelve_hours() -> dict[str, Any]:
    encoded()
    empty = _resident()
    ring = Ring(BEFORE_S + 10, 2**30)
    samples = []
    for number in range(round(HOURS * 3600 * VIDEO.fps)):
        ring.push_video(packet(number))
        if number % round(600 * VIDEO.fps) == 0 and number:
            samples.append((number / VIDEO.fps / 3600, _resident() - empty, ring.state().size))
    settled = samples[len(samples) // 2 :]
    hours = [hour for hour, _, _ in settled]
    grown = [resident for _, resident, _ in settled]
    mean_hour, mean_grown = sum(hours) / len(hours), sum(grown) / len(grown)
    slope = sum((h - mean_hour) * (g - mean_grown) for h, g in zip(hours, grown, strict=True)) / sum(
        (h - mean_hour) ** 2 for h in hours
    )
    return {
        "simulated_hours": HOURS,
        "payload_mb": samples[-1][2] / 1e6,
        "empty_process_mb": empty / 1e6,
        "rss_over_payload_max": max(resident / size for _, resident, size in samples),
        "rss_slope_mb_an_hour_in_the_second_half": slope / 1e6,
    }


if __name__ == "__main__":
    print(json.dumps(_twelve_hours()))
