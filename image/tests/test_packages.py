from pathlib import Path

import pytest

from imaging import packages
from imaging.release import Release, Unexplained, gather

LEFT_OVER = """
Package: left-over
Status: install ok installed
Version: 2
"""


def test_each_has_its_reason(tree: Path) -> None:
    found = {each.name: each for each in packages.on(tree)}
    assert list(found) == ["base-files", "libav61", "mawk", "python3-av"]
    assert found["base-files"] == packages.Package("base-files", "13", 10, "Debian's minimal system")
    assert found["mawk"].why == "for base-files"
    assert found["libav61"].why == "for python3-av"
    assert "FFmpeg" in found["python3-av"].why


def test_roles_and_image_say_why() -> None:
    said = packages.reasons()
    assert {"python3-av", "dosfstools", "fdisk", "linux-image-arm64", "openssh-server"} <= set(said)
    assert all(said.values())


def test_what_nobody_has_a_reason_for_is_not_released(tree: Path, tmp_path: Path) -> None:
    release = Release("name", "1.0", 0, "0" * 40, stand_in=True)
    with (tree / "var/lib/dpkg/status").open("a") as status:
        status.write(LEFT_OVER)
    with pytest.raises(Unexplained, match="left-over"):
        gather(release, tmp_path / "image", tree, tmp_path / "dist", "", None)
