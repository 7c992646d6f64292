"""The hosted workflow: whose code runs there, and that nothing is skipped or built twice."""

import ast
import os
import re
from typing import Any

import pytest
import yaml

from imaging import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
NOXFILE = REPOSITORY / "noxfile.py"
_PINNED = re.compile(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$")


class Session:
    """As nox's: what ends it is an exception."""

    def skip(self, reason: str) -> None:
        raise LookupError(reason)

    def error(self, reason: str) -> None:
        raise RuntimeError(reason)


def jobs() -> dict[str, Any]:
    (workflow,) = WORKFLOWS
    found: dict[str, Any] = yaml.safe_load(workflow.read_text())["jobs"]
    return found


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_actions_are_pinned() -> None:
    """By commit: a tag may be moved by whoever takes over an action."""
    used = [line.strip().removeprefix("- ") for file in WORKFLOWS for line in file.read_text().splitlines()]
    used = [line for line in used if line.startswith("uses:")]
    assert used
    assert [line for line in used if not _PINNED.fullmatch(line)] == []


def test_an_image_is_built_once() -> None:
    """It is uploaded, and what is flashed is that one."""
    building = [name for name, job in jobs().items() if re.search(r"make (image|release)", commands(job))]
    assert building == ["image"]
    for name in ("flashed", "prove"):
        job = jobs()[name]
        assert job["needs"] == "image"
        assert "download-artifact" in str(job["steps"])
        assert "MISSED_MOMENT_IMAGE=" in commands(job)


def test_long_proofs_run_on_a_schedule() -> None:
    (workflow,) = WORKFLOWS
    assert yaml.safe_load(workflow.read_text())["on"]["schedule"]
    assert "make prove" in commands(jobs()["prove"])
    assert "schedule" in jobs()["prove"]["if"]


def test_sudo_passes_on_that_nothing_may_be_skipped() -> None:
    (workflow,) = WORKFLOWS
    assert yaml.safe_load(workflow.read_text())["env"]["MISSED_MOMENT_ALL"] == "1"
    for name in ("test", "flashed", "prove"):
        assert "sudo --preserve-env=MISSED_MOMENT_ALL " in commands(jobs()[name])


def test_no_session_skips_by_itself() -> None:
    """All go through one function."""
    tree = ast.parse(NOXFILE.read_text())
    skipping = {
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Attribute) and call.attr == "skip"
    }
    assert skipping == {"skip"}


@pytest.mark.parametrize(("all_of_it", "ends"), [("", LookupError), ("1", RuntimeError)])
def test_where_everything_must_run_a_skip_is_an_error(
    monkeypatch: pytest.MonkeyPatch, all_of_it: str, ends: type[Exception]
) -> None:
    monkeypatch.setenv("MISSED_MOMENT_ALL", all_of_it)
    (skip,) = (
        each
        for each in ast.parse(NOXFILE.read_text()).body
        if isinstance(each, ast.FunctionDef) and each.name == "skip"
    )
    skip.args.args[0].annotation = skip.returns = None
    names: dict[str, Any] = {"os": os}
    exec(compile(ast.Module([skip], []), str(NOXFILE), "exec"), names)  # noqa: S102 - nox is not installed here
    with pytest.raises(ends, match="there is no QEMU"):
        names["skip"](Session(), "there is no QEMU")
