"""Write docs/reference/settings.md from the settings' own models; with --check, say whether it is up to date."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made_from_the_code import write_or_check

from missed_moment.config import Loaded, MomentSettings, Settings, VideoSettings
from missed_moment.memory_budget import fit

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"
HEAD = """# Settings

`missed-moment.toml` lies on the boot partition (`/boot/firmware`), and any computer can edit it. Every key is
optional. A line that is not TOML and a key that is unknown or out of range become one line each in
`missed-moment status` and LED code 7; the default is used, every other line is in force, and recording goes on. If such
a line may be about sound, sound is off until it is corrected; if it may be about `switch_pin`, the camera is off. The
file may have up to 64 KiB. This page is made from the code by `make format`.
"""
BOARDS = {"512 MB": 416, "1 GB": 900, "2 GB": 1850, "4 GB": 3800}
"""Boards by their memory, and about how many MiB of it Linux has (MemTotal)."""
MEMORY = """## Memory

The time before the press is held in RAM, so `before_s` and `bitrate_mbps` together must fit the board. Settings that
need more are reduced to the most that fits: `before_s` first, but not below its default, then `bitrate_mbps`. That is
one line in `missed-moment status` and LED code 7, and recording goes on. The defaults fit every board.

| memory | longest `before_s` at 6 Mbit/s | highest `bitrate_mbps` at 60 s | used if 300 s and 25 Mbit/s are set |
|---|---|---|---|
"""


def render() -> str:
    """Return the page."""
    schema = Settings.model_json_schema()
    parts = [HEAD]
    for table, reference in schema["properties"].items():
        model = schema["$defs"][(reference.get("$ref") or reference["allOf"][0]["$ref"]).rsplit("/", 1)[1]]
        parts.append(
            f"## [{table}]\n\n{model['description']}\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n"
        )
        for key, rule in model["properties"].items():
            default = "none" if rule.get("default") is None else f"`{json.dumps(rule['default'])}`"
            parts[-1] += f"| `{key}` | {default} | {_allowed(rule)} | {rule['description']} |\n"
    return "\n".join([*parts, MEMORY + "".join(_limits())])


def _limits() -> Iterator[str]:
    """Yield a row for each board: the most that it can hold."""
    for board, mib in BOARDS.items():
        longest, highest, both = (
            fit(Loaded(Settings(moment=moment, video=video)), mib * 1024 * 1024).settings
            for moment, video in (
                (MomentSettings(before_s=300), VideoSettings()),
                (MomentSettings(), VideoSettings(bitrate_mbps=25)),
                (MomentSettings(before_s=300), VideoSettings(bitrate_mbps=25)),
            )
        )
        used = f"`{both.moment.before_s}` and `{both.video.bitrate_mbps:g}`"
        yield f"| {board} | {longest.moment.before_s} | {highest.video.bitrate_mbps:g} | {used} |\n"


def _allowed(rule: dict[str, Any]) -> str:
    """Put a JSON schema in words."""
    if "anyOf" in rule:
        return _allowed(next(option for option in rule["anyOf"] if option.get("type") != "null"))
    if "items" in rule:
        return f"a list of {_allowed(rule['items'])}"
    if "enum" in rule:
        return " or ".join(f"`{json.dumps(value)}`" for value in rule["enum"])
    if rule["type"] == "boolean":
        return "`true` or `false`"
    if rule["type"] == "string":
        return (
            f"text of at most {rule['maxLength']} characters"
            if "maxLength" in rule
            else f"text like `{rule['pattern']}`"
        )
    most = rule["maximum"] if "maximum" in rule else rule["exclusiveMaximum"] - 1
    return f"{rule['minimum']:g} to {most:g}"


if __name__ == "__main__":
    write_or_check(TARGET, render())
