"""A release has the licences of all that is on the image, and its sources or the offer of them."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from imaging.sources import Incomplete, gather, listed

EPOCH = 1_750_000_000
LISTED = {
    ("base-files", "13"): ["base-files"],
    ("ffmpeg", "7:7.1-1"): ["libav61"],
    ("mawk", "1.3"): ["mawk"],
    ("pyav", "14.2"): ["python3-av"],
    ("tiny", "1.0-1"): ["base-files"],
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "dist"
    place.mkdir()
    return place


@pytest.fixture(params=["list", "sources"])
def archive(tree: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An apt archive with a source package of each version that the tree has; the tree knows it."""
    archive = tmp_path / "archive"
    archive.mkdir()
    index = []
    for name, version in LISTED:
        upstream = version.partition(":")[2] or version
        tarball, dsc = f"{name}_{upstream}.tar.xz", f"{name}_{upstream}.dsc"
        (archive / tarball).write_text(f"source of {name}")
        digest = hashlib.sha256((archive / tarball).read_bytes()).hexdigest()
        size = (archive / tarball).stat().st_size
        (archive / dsc).write_text(
            f"Source: {name}\nVersion: {version}\nChecksums-Sha256:\n {digest} {size} {tarball}\n"
        )
        about = hashlib.sha256((archive / dsc).read_bytes()).hexdigest(), (archive / dsc).stat().st_size
        index.append(
            f"Package: {name}\nBinary: {name}\nVersion: {version}\nFormat: 3.0 (native)\nDirectory: .\n"
            f"Checksums-Sha256:\n {digest} {size} {tarball}\n {about[0]} {about[1]} {dsc}\n"
        )
    (archive / "Sources").write_text("\n".join(index))
    parts = tree / "etc/apt/sources.list.d"
    parts.mkdir(parents=True)
    (tree / "etc/apt/trusted.gpg.d").mkdir()
    if request.param == "list":
        (tree / "etc/apt/sources.list").write_text(f"# Ours.\ndeb [trusted=yes] copy:{archive} ./\n")
    else:
        (parts / "ours.sources").write_text(f"Types: deb\nURIs: copy:{archive}\nSuites: ./\nTrusted: yes\n")
    return archive


def test_each_package_has_its_source(tree: Path) -> None:
    assert listed(tree) == LISTED


def test_sources_are_those_of_the_listed_versions(tree: Path, archive: Path, place: Path) -> None:
    gather("name", tree, place, EPOCH, fetch=True)
    with tarfile.open(place / "name.sources.tar") as tar:
        assert set(tar.getnames()) == {file.name for file in archive.iterdir()} - {"Sources"}
        ffmpeg = tar.extractfile("ffmpeg_7.1-1.tar.xz")
        assert ffmpeg
        assert ffmpeg.read() == b"source of ffmpeg"
    assert not (place / "name.source-offer.txt").exists()
    assert sorted(file.name for file in place.iterdir()) == [
        "name.licences.tar.xz", "name.sources.tar", "name.sources.tsv",
    ]  # fmt: skip


def test_another_version_is_not_the_source(tree: Path, archive: Path, place: Path) -> None:
    index = archive / "Sources"
    index.write_text(index.read_text().replace("Version: 1.3\n", "Version: 1.4\n"))
    with pytest.raises(Incomplete, match=r"source packages mawk 1\.3:"):
        gather("name", tree, place, EPOCH, fetch=True)


def test_without_sources_they_are_offered(tree: Path, place: Path) -> None:
    gather("name", tree, place, EPOCH, fetch=False)
    assert "three years" in (place / "name.source-offer.txt").read_text()
    assert "ffmpeg\t7:7.1-1\tlibav61" in (place / "name.sources.tsv").read_text().splitlines()


def test_all_licences_are_there(tree: Path, place: Path) -> None:
    gather("name", tree, place, EPOCH, fetch=False)
    with tarfile.open(place / "name.licences.tar.xz") as tar:
        texts = {name: tar.extractfile(name).read().decode() for name in tar.getnames()}  # type: ignore[union-attr]
    assert texts["debian/python3-av"] == "of libav61", "a link into the tree, and not out of it"
    assert {name for name in texts if name.startswith("debian/")} == {
        f"debian/{package}" for package in ("base-files", "libav61", "mawk", "python3-av")
    }
    assert texts["python/thing-1/licenses/LICENSE"] == "of thing"
    assert texts["common-licenses/GPL-3"] == "GPL"


def test_a_package_without_a_licence_is_not_released(tree: Path, place: Path) -> None:
    (tree / "usr/share/doc/mawk/copyright").unlink()
    with pytest.raises(Incomplete, match="of mawk"):
        gather("name", tree, place, EPOCH, fetch=False)
    gather("name", tree, place, EPOCH, fetch=False, strict=False)
    with tarfile.open(place / "name.licences.tar.xz") as tar:
        noted = tar.extractfile("debian/without-copyright.txt")
        assert noted
        assert noted.read() == b"mawk\n"


def test_the_same_bytes(tree: Path, place: Path) -> None:
    gather("name", tree, place, EPOCH, fetch=False)
    first = (place / "name.licences.tar.xz").read_bytes()
    for path in tree.rglob("copyright"):
        path.touch()
    gather("name", tree, place, EPOCH, fetch=False)
    assert (place / "name.licences.tar.xz").read_bytes() == first
