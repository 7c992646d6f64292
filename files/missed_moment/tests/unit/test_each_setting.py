"""Each key of the settings has a test which shows that it does what the reference says: one that is marked with it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from toml_files import TABLES

KEYS = [f"{table}.{key}" for table, keys in TABLES.items() for key in keys]


def marked(source: str) -> Iterator[str]:
    """Yield what tests are marked with, as in `@pytest.mark.setting("video.width", "video.height")`."""
    for test in ast.parse(source).body:
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            for mark in test.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.setting":
                    yield from map(ast.literal_eval, mark.args)


SHOWN = {key for path in Path(__file__).parent.glob("test_*.py") for key in marked(path.read_text())}


@pytest.mark.parametrize("key", KEYS)
def test_each_setting_is_shown_to_do_what_it_says(key: str) -> None:
    assert key in SHOWN, f'no test is marked with @pytest.mark.setting("{key}")'


def test_what_is_shown_is_a_setting() -> None:
    assert not SHOWN - set(KEYS)


def test_a_mark_counts_on_a_test_only() -> None:
    mark = '@pytest.mark.setting("a.b", "a.c")\n'
    assert list(marked(f"{mark}def test_it():\n    pass\n")) == ["a.b", "a.c"]
    assert not list(marked(f"{mark}def it():\n    pass\n"))
    assert not list(marked('@pytest.mark.other("a.b")\ndef test_it():\n    pass\n'))
