import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from cards import said

from imaging.release import Release, gather

RELEASE = Release("missed-moment-1.0", "1.0", 1_750_000_000, "c" * 40, stand_in=True)
URL = "https://example.org/releases/"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A signer's secret key; the public one lies beside it."""
    key = tmp_path / "key"
    said("minisign", "-G", "-W", "-p", key.with_suffix(".pub"), "-s", key)
    return key


@pytest.fixture
def released(tree: Path, image: Path, tmp_path: Path, key: Path) -> Path:
    """A release that will be found at URL, signed."""
    place = tmp_path / "dist"
    named = image.rename(image.with_name(f"{RELEASE.name}.img"))
    gather(RELEASE, named, tree, place, URL, key)
    return place


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_is_flashed_is_the_image(released: Path, tmp_path: Path) -> None:
    """As dd writes it, and as bmaptool does, which leaves out what no file uses; it checks what it has read."""
    compressed = released / f"{RELEASE.name}.img.xz"
    by_dd, by_blocks = tmp_path / "dd", tmp_path / "blocks"
    with by_dd.open("wb") as file:
        subprocess.run(["xz", "--decompress", "--stdout", compressed], check=True, stdout=file)
    said("bmaptool", "copy", "--bmap", released / f"{RELEASE.name}.img.bmap", compressed, by_blocks)
    manifest = json.loads((released / f"{RELEASE.name}.json").read_text())
    assert digest(by_dd) == manifest["image"]["sha256"]
    assert by_blocks.read_bytes() == by_dd.read_bytes()


def test_imager_is_told_what_it_will_find(released: Path) -> None:
    (entry,) = json.loads((released / "os_list.json").read_text())["os_list"]
    name = entry["url"].removeprefix(URL)
    assert entry["image_download_sha256"] == digest(released / name)
    assert entry["image_download_size"] == (released / name).stat().st_size
    assert entry["extract_sha256"] == json.loads((released / f"{RELEASE.name}.json").read_text())["image"]["sha256"]
    assert "stand-in" in entry["name"]
    assert "init_format" not in entry, "Imager would offer to set a user and a network, and nothing reads that here"


def test_whoever_has_the_public_key_knows_whose_it_is(released: Path, key: Path) -> None:
    """The key's owner signs the sums, and the sums are those of all the rest."""
    sums = released / "SHA256SUMS"
    verify = ("minisign", "-V", "-p", key.with_suffix(".pub"), "-m", sums)
    said(*verify)
    rest = sorted(file for file in released.iterdir() if not file.name.startswith("SHA256SUMS"))
    assert sums.read_text() == "".join(f"{digest(file)}  {file.name}\n" for file in rest)
    sums.write_text(sums.read_text().replace("0", "1", 1))
    with pytest.raises(subprocess.CalledProcessError):
        said(*verify)


def test_the_bill_of_materials_names_every_package(released: Path) -> None:
    bill = json.loads((released / f"{RELEASE.name}.cdx.json").read_text())
    named = {(component["name"], component["version"]) for component in bill["components"]}
    assert {("base-files", "13"), ("mawk", "1.3"), ("python3-av", "14.2"), ("libav61", "7.1")} <= named
