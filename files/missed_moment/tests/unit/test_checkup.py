"""What `missed-moment check` looks at: stores, sticks, and what strangers made of them."""

from pathlib import Path

import pytest

from missed_moment import checkup
from missed_moment.checkup import Finding
from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.export.handover import FOLDER, HandOver
from missed_moment.export.sums import NAME
from rig import store_moment


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    for _ in range(2):
        store_moment(tmp_path / "clips", seconds=1)
    (tmp_path / "stick").mkdir()
    HandOver(Catalogue(tmp_path / "clips", LocalDisk()), tmp_path / "stick").run()
    return tmp_path / "stick"


def found(place: Path) -> list[Finding]:
    return list(checkup.checkup([place], place, place))


@pytest.mark.parametrize("below", [".", FOLDER])
def test_a_stick_is_checked_by_its_sums_wherever_one_stands(
    below: str, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stick / below)
    assert [finding.good for finding in found(Path())] == [True, True]
    assert [finding.good for finding in found(stick / below)] == [True, True]


def test_each_is_told_before_the_next_is_looked_at(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    inspect = checkup.inspect_clip

    def watched(path: Path) -> object:
        looked.append(path.name)
        return inspect(path)

    monkeypatch.setattr(checkup, "inspect_clip", watched)
    findings = checkup.checkup([stick], stick, stick)
    next(findings)
    assert looked == ["moment-000001.mp4"]
    next(findings)
    assert looked == ["moment-000001.mp4", "moment-000002.mp4"]


def test_a_check_makes_no_directory(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    [finding] = found(tmp_path / "holiday")
    assert not finding.good
    assert list((tmp_path / "holiday").iterdir()) == []


def test_what_a_stranger_wrote_into_the_sums_is_told(stick: Path) -> None:
    sums = stick / FOLDER / NAME
    sums.write_bytes(sums.read_bytes() + b"0" * 64 + b" *\xff\xfe.mp4\n")
    (stick / FOLDER / "moment-000002.mp4").write_bytes(b"other")
    texts = {finding.good: str(finding) for finding in found(stick)}
    assert "moment-000001.mp4" in texts[True]
    assert texts[True].encode()
    assert sorted(finding.good for finding in found(stick)) == [False, False, True]


def test_no_message_has_the_number_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no film")
    [noise], [nothing] = found(tmp_path / "film.mp4"), found(tmp_path / "none.mp4")
    assert not noise.good
    assert not nothing.good
    assert "[Errno" not in f"{noise} {nothing}"
    assert "No such file or directory" in str(nothing)
