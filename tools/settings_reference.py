"""Write docs/reference/settings.md from the settings' own models; with --check, say whether it is up to date."""

import json
from pathlib import Path
from typing import Any

from made_from_the_code import write_or_check

from missed_moment.config import Settings

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"
HEAD = """# Settings

`missed-moment.toml` lies on the boot partition (`/boot/firmware`), and any computer can edit it. Every key is
optional. A key that is unknown or out of range becomes one line in `missed-moment status` and LED code 7; its default
is used, and recording goes on. This page is made from the code by `make format`.
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
    return "\n".join(parts)


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
