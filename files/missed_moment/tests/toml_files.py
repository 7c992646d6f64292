"""Settings files as people write them: right, nearly right, and wrong in every way that TOML allows."""

from hypothesis import strategies as st

from missed_moment.config import Settings

TABLES = {name: list(type(field.default).model_fields) for name, field in Settings.model_fields.items()}

_words = st.text(st.characters(codec="utf-8"), max_size=8)
_scalars = st.one_of(
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(),
    _words,
    st.sampled_from([0, 17, 27, 60, 640, 720, 90, "stop", "oldest", "vfat"]),
)
_keys = st.sampled_from(sorted({key for table in TABLES.values() for key in table})) | _words
_values = st.one_of(_scalars, st.lists(_scalars, max_size=3), st.dictionaries(_keys, _scalars, max_size=2))
tables = st.dictionaries(
    st.sampled_from(sorted(TABLES)) | _words,
    st.dictionaries(_keys, _values, max_size=5) | _scalars,
    max_size=6,
)


def _to_toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{_to_toml(key)} = {_to_toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_to_toml, value)) + "]"
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
        case _:
            return repr(value)


def _to_file(tables: dict[str, object]) -> str:
    return "\n".join(f"{_to_toml(name)} = {_to_toml(table)}" for name, table in tables.items())


toml_files = tables.map(_to_file)
"""The text of a file that is TOML."""
