"""The manual: it explains all that the code can say and be told, and leads nowhere that is not there."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from missed_moment.cli import cli
from missed_moment.health import Fault
from missed_moment.panel import language
from missed_moment.panel.language import SIGNALS, Signal

REPOSITORY = Path(__file__).parents[4]
DOCS = REPOSITORY / "docs"
_MADE = {"demo", "dist"}
"""Directories that making and trying leave in a checkout, besides those that are hidden."""
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|href|srcset)=\"([^\"]+)\"")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:")


def pages() -> Iterator[Path]:
    """Yield all pages of the repository, whatever they are about."""
    for place, directories, files in os.walk(REPOSITORY):
        directories[:] = [name for name in directories if name not in _MADE and not name.startswith(".")]
        yield from (Path(place) / name for name in files if name.endswith(".md"))


def headings(page: Path) -> list[str]:
    """Return what stands over the parts of a page."""
    return _HEADING.findall(_CODE.sub(lambda code: "" if code[0].startswith("```") else code[0], page.read_text()))


def anchor(heading: str) -> str:
    """Return what a link to a heading ends with, where repositories are shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def dead_links(page: Path) -> Iterator[str]:
    """Yield the links and pictures of a page that lead to nothing in the repository."""
    for found in _LINK.finditer(_CODE.sub("", page.read_text())):
        link = found[1] or found[2]
        if _ELSEWHERE.match(link):
            continue
        path, _, part = link.partition("#")
        target = page.parent / path if path else page
        there = not path or (target.exists() and target.resolve().is_relative_to(REPOSITORY))
        if not there or (part and part not in map(anchor, headings(target))):
            yield link


@pytest.mark.parametrize("page", sorted(pages()), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(dead_links(page)) == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A `b`: c\n[x](#a-b-c) [x](#d) [x](gone.md) <img src="gone.png"> [x](https://x.example)\n`[x](y)`'
    )
    assert list(dead_links(page)) == ["#d", "gone.md", "gone.png"]


def test_every_signal_is_listed() -> None:
    assert {value for value in vars(language).values() if isinstance(value, Signal)} <= set(SIGNALS)
    assert len({signal.name for signal in SIGNALS}) == len(SIGNALS)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_every_signal_has_a_heading_among_the_troubles(signal: Signal) -> None:
    faults = {language.FAULTS[fault]: f"{fault.value} blinks: `{fault.name.lower()}`" for fault in Fault}
    wanted = faults.get(signal, f"`{signal.name}`")
    assert [heading for heading in headings(DOCS / "how-to/troubleshooting.md") if wanted in heading]


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_every_command_is_explained(command: str) -> None:
    page = (DOCS / "reference/command-line.md").read_text()
    assert re.search(rf"missed-moment {command}(?![\w-])", page)


@pytest.mark.parametrize("role", sorted((REPOSITORY / "roles").iterdir()), ids=lambda role: role.name)
def test_every_variable_of_a_role_is_explained(role: Path) -> None:
    variables = re.findall(rf"^ +({role.name}_\w+):$", (role / "meta/argument_specs.yml").read_text(), re.MULTILINE)
    page = (DOCS / "reference/roles.md").read_text()
    assert [name for name in variables if f"`{name}`" not in page] == []
