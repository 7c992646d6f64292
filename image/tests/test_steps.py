"""Progress is shown, and a step that fails says which it was and where all that it said is."""

import subprocess
from pathlib import Path

import pytest

from imaging.steps import Steps


def test_what_a_step_says_is_in_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Steps(tmp_path).step("name", "something is done"):
        subprocess.run(["echo", "a great deal"], check=True)
    shown = capfd.readouterr().out
    assert "something is done" in shown
    assert "a great deal" not in shown
    assert (tmp_path / "name.log").read_text() == "a great deal\n"


def test_a_failed_step_says_which_and_where(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, Steps(tmp_path).step("name", "something is done"):
        subprocess.run(["sh", "-c", "echo the reason >&2; exit 5"], check=True)
    assert end.value.code == 1
    shown = capfd.readouterr().out
    assert "failed: something is done" in shown
    assert "the reason" in shown
    assert str(tmp_path / "name.log") in shown.replace("\n", "")
