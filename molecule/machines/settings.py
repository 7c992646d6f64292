"""The settings on the boot partition, as an owner edits them with any computer."""

import json

NAME = "missed-moment.toml"


def sed_script(table: str, key: str, value: object) -> str:
    """Return what sed(1) is to do so that `key` in `table` has a value, whether it was set or explained before."""
    forget = rf"/^\[{table}\]/,/^\[/ {{ /^#* *{key} = /d }}"
    return rf"{forget}; /^\[{table}\]/a {key} = {json.dumps(value)}"
