"""What a release holds beside the image: what is in it, what it is made of, what proves that it is whole.

| file | what |
|---|---|
| `NAME.img.xz` | the image |
| `NAME.img.bmap` | which of its blocks matter, for bmaptool |
| `NAME.cdx.json` | all packages, in CycloneDX's form (a software bill of materials) |
| `NAME.packages.tsv` | the same, each with the reason why it is there |
| `NAME.sources.tsv` | all source packages; `NAME.sources.tar` has them, or `NAME.source-offer.txt` offers them |
| `NAME.licences.tar.xz` | all licences and copyright notices |
| `NAME.json` | what it was made of |
| `os_list.json` | what Raspberry Pi Imager offers, given the address of this list |
| `SHA256SUMS`, `SHA256SUMS.minisig` | the sums of all that, signed where there is a key |

The same inputs make the same bytes, but for the signature.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from imaging import REPOSITORY, packages, pi_gen, sources
from imaging.assemble import NAMESPACE
from imaging.base import SUITE
from imaging.blocks import hole_where_free
from imaging.steps import NotMade

_PRODUCT = "missed-moment"
_ICON = REPOSITORY / "image" / "icon.svg"
_DESCRIPTION = "A camera for a home that keeps only what you ask for: it needs no network, and uses none"
# As Raspberry Pi Imager calls what it asks for first. A Zero 2 W is a "pi3" there.
_BOARDS = ["pi5-64bit", "pi4-64bit", "pi3-64bit"]
# Of the compressed image, so many bytes are one piece: it is the same whatever computer compresses it.
_XZ = ("xz", "--compress", "-9", "--threads=0", "--block-size=100663296", "--stdout")


class Unexplained(NotMade):
    """There are packages for which nobody has given a reason; the message names them."""


@dataclass(frozen=True)
class Release:
    """What is released: its name, version, the Unix time it is as of, the commit, and what it was made of."""

    name: str
    version: str
    epoch: int
    commit: str
    stand_in: bool

    @property
    def date(self) -> datetime:
        """As of when it is."""
        return datetime.fromtimestamp(self.epoch, UTC)


def gather(
    release: Release, image: Path, tree: Path, place: Path, url: str, key: Path | None, with_sources: bool = False
) -> None:
    """Put all that a release holds into `place`, which is made anew; `tree` is what the image was made of.

    Without `url`, where it will be found, there is no list for Imager; without `key`, no signature. `with_sources`
    fetches all source packages; without, they are only listed and offered.
    Raises CalledProcessError, Unexplained, sources.Incomplete.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    _list_packages(release, tree, place)
    _describe(release, tree, place)
    # Every package of Debian has a copyright file; those of Raspberry Pi's archive are not ours to mend.
    sources.gather(release.name, tree, place, release.epoch, with_sources, strict=release.stand_in)
    compressed = _compress(image, place)
    digest, size = _digest(image), image.stat().st_size
    manifest = _manifest(release) | {"image": {"name": image.name, "sha256": digest, "size": size}}
    _write(place / f"{release.name}.json", manifest)
    if url:
        entry = {
            "name": f"{_PRODUCT} {release.version}" + (" (stand-in)" if release.stand_in else ""),
            "description": _DESCRIPTION,
            "icon": f"data:image/svg+xml;base64,{base64.b64encode(_ICON.read_bytes()).decode()}",
            "url": f"{url.rstrip('/')}/{compressed.name}",
            "extract_size": size,
            "extract_sha256": digest,
            "image_download_size": compressed.stat().st_size,
            "image_download_sha256": _digest(compressed),
            "release_date": f"{release.date:%Y-%m-%d}",
            "devices": _BOARDS,
        }
        _write(place / "os_list.json", {"os_list": [entry]})
    sums = place / "SHA256SUMS"
    sums.write_text("".join(f"{_digest(file)}  {file.name}\n" for file in sorted(place.iterdir())))
    if key:
        comment = f"{_PRODUCT} {release.version}, as of {release.date:%Y-%m-%d}"
        subprocess.run(["minisign", "-S", "-s", key, "-t", comment, "-m", sums], check=True)


def _list_packages(release: Release, tree: Path, place: Path) -> None:
    found = packages.on(tree)
    unexplained = [package.name for package in found if not package.why]
    # What Raspberry Pi OS itself begins with, it has its reasons for.
    if unexplained and release.stand_in:
        raise Unexplained(f"nobody has said why these are on the image: {', '.join(unexplained)}")
    lines = ("\t".join(map(str, (each.name, each.version, each.size_kb, each.why))) for each in found)
    head = "package\tversion\tsize in kB\tbecause of"
    (place / f"{release.name}.packages.tsv").write_text("\n".join([head, *lines]) + "\n")


def _describe(release: Release, tree: Path, place: Path) -> None:
    file = place / f"{release.name}.cdx.json"
    serial = uuid.uuid5(NAMESPACE, f"{release.name} {release.commit} {release.epoch}")
    subprocess.run(
        [
            *(Path(sys.executable).with_name("debsbom"), "generate", "--sbom-type=cdx", "--with-licenses"),
            *(f"--root={tree}", f"--distro-name={_PRODUCT}", f"--distro-version={release.version}"),
            *(f"--timestamp={release.date.isoformat()}", f"--cdx-serialnumber={serial}"),
            *("--out", place / release.name),
        ],
        check=True,
    )
    bill = json.loads(file.read_text())
    for component in _python_packages(tree):
        bill["components"].append(component)
        bill["dependencies"].append({"ref": component["bom-ref"]})
    _write(file, bill)


def _python_packages(tree: Path) -> Iterator[dict[str, Any]]:
    """Yield what is there besides Debian's packages, as CycloneDX describes it."""
    for metadata in sorted(tree.glob("opt/*/*/lib/python3*/site-packages/*.dist-info/METADATA")):
        said = HeaderParser().parsestr(metadata.read_text())
        purl = f"pkg:pypi/{said['Name']}@{said['Version']}"
        component = {"type": "library", "bom-ref": purl, "name": said["Name"], "version": said["Version"], "purl": purl}
        licence = said["License-Expression"]
        yield component | ({"licenses": [{"expression": licence}]} if licence else {})


def _compress(image: Path, place: Path) -> Path:
    flashable = place / image.name
    shutil.copy(image, flashable)
    hole_where_free(flashable)
    subprocess.run(["bmaptool", "create", "--output", place / f"{image.name}.bmap", flashable], check=True)
    compressed = flashable.with_name(f"{image.name}.xz")
    with compressed.open("wb") as file:
        subprocess.run([*_XZ, flashable], check=True, stdout=file)
    flashable.unlink()
    return compressed


def _manifest(release: Release) -> dict[str, Any]:
    base = {"debian": SUITE} if release.stand_in else {"pi-gen": pi_gen.TAG, "commit": pi_gen.COMMIT}
    return {
        "product": _PRODUCT,
        "version": release.version,
        "as_of": release.date.isoformat(),
        "commit": release.commit,
        "base": base,
    }


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
