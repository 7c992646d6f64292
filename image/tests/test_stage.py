"""What a root file system is taken for, before the playbook makes it a camera."""

from pathlib import Path

import pytest

from imaging import stage


@pytest.mark.parametrize(
    ("file", "line", "boards"),
    [
        ("sources.list.d/raspi.sources", "URIs: http://archive.raspberrypi.com/debian/", True),
        ("sources.list.d/raspi.list", "deb http://archive.raspberrypi.org/debian/ trixie main", True),
        ("sources.list", "deb http://archive.raspberrypi.com/debian/ trixie main", True),
        ("sources.list.d/debian.sources", "URIs: http://mirror.example/debian", False),
    ],
)
def test_the_archive_counts_and_not_the_name_of_its_file(tmp_path: Path, file: str, line: str, boards: bool) -> None:
    """Only a base with Raspberry Pi's own archive must bring picamera2 and lgpio; another one is a stand-in."""
    place = tmp_path / "etc" / "apt" / file
    place.parent.mkdir(parents=True)
    place.write_text(f"{line}\n")
    assert stage.variables(tmp_path)["recorder_board_packages"] == ("required" if boards else "optional")
    assert ("VARIANT_ID" in stage.variables(tmp_path)["image_is"]) is not boards
