import subprocess
from pathlib import Path

import pytest

from imaging import PI_GEN_COPY, pi_gen


def repository(place: Path) -> Path:
    """Return a repository that has the pinned tag, with something else behind it."""
    git = ("git", "-C", str(place), "-c", "user.name=n", "-c", "user.email=n@example.org")
    place.mkdir()
    for command in (("init", "--quiet"), ("commit", "--quiet", "--allow-empty", "-m", "x"), ("tag", pi_gen.TAG)):
        subprocess.run([*git, *command], check=True)
    return place


def test_a_tag_that_was_moved_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PI_GEN_COPY, str(repository(tmp_path / "moved")))
    with pytest.raises(pi_gen.NotFetched, match=f"not {pi_gen.COMMIT}"):
        pi_gen.fetch(tmp_path / "pi-gen")


def test_where_there_is_none_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PI_GEN_COPY, str(tmp_path / "nothing"))
    with pytest.raises(pi_gen.NotFetched, match="BASE=debian"):
        pi_gen.fetch(tmp_path / "pi-gen")
