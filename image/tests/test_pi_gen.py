import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from imaging import PI_GEN_COPY, making, pi_gen
from imaging.steps import Steps


def git(place: Path, *command: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    asked = ("git", "-C", str(place), *identity, *command)
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def commit_tagged(place: Path, tag: str) -> str:
    """Add a commit with that tag to the repository, and return which it is."""
    place.mkdir(exist_ok=True)
    git(place, "init", "--quiet")
    git(place, "commit", "--quiet", "--allow-empty", "-m", tag)
    git(place, "tag", tag)
    return git(place, "rev-parse", "HEAD")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that has the pinned tag."""
    source = tmp_path / "source"
    monkeypatch.setenv(PI_GEN_COPY, str(source))
    monkeypatch.setattr(pi_gen, "COMMIT", commit_tagged(source, pi_gen.TAG))
    return source


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where images are made."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(making, "_WORK", work)
    return work


def test_a_tag_that_was_moved_is_refused(source: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time: what was fetched then is not used the next time."""
    monkeypatch.setattr(pi_gen, "COMMIT", "c" * 40)
    for _ in range(2):
        with pytest.raises(pi_gen.NotFetched, match=f"not {pi_gen.COMMIT}"):
            pi_gen.fetch(work)


def test_where_there_is_none_it_says_what_to_do(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PI_GEN_COPY, str(work / "nothing"))
    with pytest.raises(pi_gen.NotFetched, match="BASE=debian"):
        pi_gen.fetch(work)


def test_another_commit_can_be_pinned(source: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is fetched although a former one is there, and starts with nothing that the former one has made."""
    former = pi_gen.fetch(work)
    made = work / pi_gen.STAGES[0] / "rootfs"
    made.mkdir(parents=True)
    assert pi_gen.fetch(work) == former
    assert made.exists(), "the same commit goes on with what it has made"
    monkeypatch.setattr(pi_gen, "TAG", "next")
    monkeypatch.setattr(pi_gen, "COMMIT", commit_tagged(source, "next"))
    place = pi_gen.fetch(work)
    assert git(place, "rev-parse", "HEAD") == pi_gen.COMMIT
    assert not former.exists()
    assert not made.exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_fresh_uses_nothing_of_before(
    source: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    made = [work / stage / "rootfs" for stage in pi_gen.STAGES]
    reused: list[Path] = []

    def build(_place: Path, stages: Sequence[Path], *_: object) -> None:
        assert [stage.name for stage in stages] == [*pi_gen.STAGES, "stage"]
        assert all(stage.parent == pi_gen.place(work) for stage in stages[:-1])
        reused.extend(path for path in made if path.exists())
        for path in made:
            path.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(pi_gen, "build", build)
    steps = Steps(tmp_path / "logs")
    making.make_real(steps, "name", fresh=False)
    assert reused == []
    making.make_real(steps, "name", fresh=fresh)
    assert reused == ([] if fresh else made)
