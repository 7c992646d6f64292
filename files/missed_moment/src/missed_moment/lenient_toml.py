"""TOML as people write it: every statement that can be read counts, and every line that cannot is listed.

`tomllib` refuses a whole file for one slip (a decimal comma, `True`, a curly quote, a key that is set twice). Here the
file is then read statement by statement, each by `tomllib`. Nothing is guessed: a line that is not TOML is not used.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST_LINES = 30
"""Lines that one statement (a list of file systems, say) may have."""
_SHOWN = 60
"""Characters of a line that a message shows."""

_NEW_LINE = re.compile(r"\r\n?|\n")
_STATEMENT = re.compile(r"\s*(\[|[\w.\"'-]+\s*=)")
"""What the first line of a statement looks like."""
_OPEN = re.compile(r"\[|\{|\"\"\"|'''")
"""What a statement of several lines has in its first one."""
_CURLY_QUOTES = re.compile("[\u00ab\u00bb\u2018-\u201f\u2033]")
_WORDS = re.compile(r"=\s*(true|false|yes|no|on|off)\b", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"=\s*[-+]?(\d+),(\d+)\s*$")
_BARE_TEXT = re.compile(r"=\s*[^\W\d]")
_POSITION = re.compile(r" \(at [^)]*\)$")


@dataclass(frozen=True)
class BadLine:
    """A line that is not in force; `number` is its first line's, from 1."""

    number: int
    table: str | None
    """The table that it stands in; None if that is not known."""
    text: str
    """The line without its comment."""
    message: str | None
    """What is wrong and what to do; None if the message about its table's header covers it."""

    @property
    def is_header(self) -> bool:
        """Whether it was to begin a table."""
        return self.text.lstrip().startswith("[")


@dataclass
class Document:
    """What a file holds: `tables` by name, the line of each table and key, and what is wrong with it."""

    tables: dict[str, Any] = field(default_factory=dict)
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    bad: list[BadLine] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    """Line and message of each fault that costs no line."""


def decode(data: bytes) -> tuple[str, tuple[int, str] | None]:
    """Return the text of a file, and the line and message if it is not UTF-8. Notepad's byte order mark is none of it.

    Editors also write UTF-16, and Windows-1252 or Latin-1, of which any bytes are text.
    """
    utf_16 = _utf_16(data)
    if utf_16:
        return data.decode(utf_16, errors="replace").lstrip("\ufeff"), (1, "the file is UTF-16 text; save it as UTF-8")
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        return data.decode("latin-1"), (
            1 + len(_NEW_LINE.findall(before)),
            "the line has a character that is not UTF-8 text; save the file as UTF-8",
        )


def read(text: str) -> Document:
    """Read TOML text, all of it if it is TOML, or else every statement that is. Never raises."""
    document = Document()
    _read_statements(text, document)
    try:
        document.tables = tomllib.loads(_NEW_LINE.sub("\n", text))
    except (ValueError, RecursionError):
        pass
    else:
        document.bad.clear()  # only of statements that span lines in a way that is not understood here
        document.notes.clear()
    return document


def list_of_tables(name: str) -> str:
    """Return the message about a header in two pairs of brackets."""
    return f"[[{printable(name)}]] is a list of tables; write one pair of brackets: [{printable(name)}]"


def printable(text: str) -> str:
    """Return a line as a message can show it: short, without control characters."""
    line = "".join(character if character.isprintable() else "?" for character in text.strip())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def _utf_16(data: bytes) -> str | None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in data[:200]:
        return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    return None


def _read_statements(text: str, document: Document) -> None:
    lines = _NEW_LINE.split(text)
    path: tuple[str, ...] | None = ()
    at = 0
    while at < len(lines):
        number = at + 1
        length, parsed, error = _statement(lines, at)
        line = _without_comment(lines[at])
        at += length
        is_header = line.lstrip().startswith("[")
        if parsed is None:
            if is_header:
                path = None
            table = path[0] if path else None
            document.bad.append(BadLine(number, table, line, _why(line, error)))
        elif is_header:
            path = _header(parsed)
            if path is None:
                name = next(iter(parsed))
                document.lines.setdefault((name,), number)
                document.bad.append(BadLine(number, None, line, list_of_tables(name)))
            elif not isinstance(document.tables.setdefault(path[0], {}), dict):
                first = document.lines.get(path[:1], number)
                message = f"{printable(line)} was given a value in line {first}; remove one of the lines"
                document.bad.append(BadLine(number, path[0], line, message))
                path = None
            elif path in document.lines:
                first = document.lines[path]
                document.notes.append((number, f"{printable(line)} also stands in line {first}; join the two tables"))
            else:
                document.lines[path] = number
        elif path is None:
            document.bad.append(BadLine(number, None, line, None))
        else:
            _insert(document, path, parsed, number, line)


def _statement(lines: list[str], at: int) -> tuple[int, dict[str, Any] | None, Exception | None]:
    """Return how many lines the statement at `at` has, and what it says, or why it cannot be read."""
    first_error: Exception | None = None
    end = at + 1
    while True:
        try:
            return end - at, tomllib.loads("\n".join(lines[at:end])), None
        except (ValueError, RecursionError) as error:
            first_error = first_error or error
        more = end < len(lines) and end - at < _MOST_LINES and not _STATEMENT.match(lines[end])
        if not more or not _OPEN.search(lines[at]):
            return 1, None, first_error
        end += 1


def _without_comment(line: str) -> str:
    before = line.partition("#")[0]
    return line if before.count('"') % 2 or before.count("'") % 2 else before


def _header(parsed: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the path of a table's header; None if it is not one table's."""
    path: list[str] = []
    below: Any = parsed
    while isinstance(below, dict) and below:
        ((name, below),) = below.items()
        path.append(name)
    return tuple(path) if isinstance(below, dict) else None


def _insert(document: Document, path: tuple[str, ...], parsed: Mapping[str, Any], number: int, line: str) -> None:
    """Put the keys of one statement into the tables; the first value of a key stays."""
    for key, value in parsed.items():
        place = (*path, key)
        if len(place) == 1 and isinstance(value, dict):
            if isinstance(document.tables.setdefault(key, {}), dict):
                document.lines.setdefault(place, number)
                _insert(document, place, value, number, line)
                continue
            parent, name = document.tables, key
        elif len(place) == 1:
            parent, name = document.tables, key
        else:
            parent, name = document.tables[place[0]], place[1]
            for step in reversed(place[2:]):
                value = {step: value}  # noqa: PLW2901 - tables in tables: no setting has any
            place = place[:2]
        if name not in parent:
            parent[name] = value
            document.lines[place] = number
            continue
        first = document.lines.get(place, number)
        what = " ".join([f"[{part}]" if at == 0 and len(place) > 1 else part for at, part in enumerate(place)])
        message = f"{printable(what)} is also set in line {first}; remove one of the lines"
        if _same(parent[name], value):
            document.notes.append((number, message))
        else:
            document.bad.append(BadLine(number, place[0] if len(place) > 1 else None, line, message))


def _same(one: Any, other: Any) -> bool:
    try:
        return json.dumps(one, default=str) == json.dumps(other, default=str)
    except RecursionError:
        return False


def _why(line: str, error: Exception | None) -> str:
    """Return what is wrong with a line, and what to write instead."""
    shown = printable(line)
    if _CURLY_QUOTES.search(line):
        remedy = 'use straight quotes (")'
    elif line.lstrip().startswith("["):
        remedy = "write the name of a table in brackets, alone in its line, as in [sound]"
    elif "=" not in line:
        remedy = "write a key and its value, as in width = 1280"
    elif comma := _DECIMAL_COMMA.search(line):
        remedy = f"write a point instead of the comma: {comma[1]}.{comma[2]}"
    elif _WORDS.search(line):
        remedy = "write true or false, in small letters"
    elif _BARE_TEXT.search(line):
        remedy = 'write text in straight quotes, as in name = "kitchen"'
    elif isinstance(error, RecursionError):
        remedy = "it nests too deep"
    else:
        remedy = _POSITION.sub("", str(error))
    return f"{shown} is not TOML; {remedy}"
