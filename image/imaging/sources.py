"""The other half of shipping free software: source packages of all that is on an image, and all licences.

`NAME.sources.tsv` lists every source package with its version. With `fetch`, they are in `NAME.sources.tar`, as the
archives that the image was made from have them; without, `NAME.source-offer.txt` is the written offer of them.
"""

import os
import re
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from debian.deb822 import Deb822, Packages

from imaging.steps import NotMade

Source = tuple[str, str]
"""A source package's name and version."""

_NAMED = re.compile(r"^(?P<name>\S+)(?: \((?P<version>\S+)\))?$")
_BUILT_USING = re.compile(r"(\S+) \(= (\S+?)\)")
_ONE_LINE = re.compile(r"^\s*deb(?=\s)", re.MULTILINE)
_PYTHON = "opt/*/*/lib/python3*/site-packages/*.dist-info"
_OFFER = """\
{name} contains software under the GNU General Public License and under similar licences
({name}.licences.tar.xz). {name}.sources.tsv lists the source package and version of each.

For at least three years after you got this image, whoever published it gives anybody who asks a complete
machine-readable copy of the corresponding source code, for no more than the cost of the medium and its shipping.
Ask where you got the image. Debian keeps every version of its own packages, too, in its snapshot archive.
"""


class Incomplete(NotMade):
    """A licence or a source package is missing; the message names which."""


def listed(tree: Path) -> dict[Source, list[str]]:
    """Return each source package of what is installed in `tree`, with the packages that were built from it.

    Sources that are only in a package because it was built with them (Built-Using) count, too.
    """
    found: dict[Source, list[str]] = defaultdict(list)
    for package in _installed(tree):
        named = _NAMED.match(package.get("Source", package["Package"]))
        if named is None:
            raise Incomplete(f"{package['Package']} names its source package {package['Source']!r}")
        found[named["name"], named["version"] or package["Version"]].append(package["Package"])
        for field in ("Built-Using", "Static-Built-Using"):
            for source in _BUILT_USING.findall(package.get(field, "")):
                found[source].append(package["Package"])
    return dict(sorted(found.items()))


def gather(name: str, tree: Path, place: Path, epoch: int, fetch: bool, strict: bool = True) -> None:
    """Put sources, or the offer of them, and licences of `tree` into `place`.

    Unless it is `strict`, packages without a copyright file are listed with the licences, in without-copyright.txt.
    Raises Incomplete, and CalledProcessError if an archive cannot be reached.
    """
    sources = listed(tree)
    lines = ("\t".join([*source, " ".join(packages)]) for source, packages in sources.items())
    (place / f"{name}.sources.tsv").write_text("\n".join(["source\tversion\tpackages", *lines]) + "\n")
    _archive_licences(tree, place / f"{name}.licences.tar.xz", epoch, strict)
    if fetch:
        with tempfile.TemporaryDirectory(prefix="sources-", dir=place) as scratch:
            _fetch(tree, list(sources), Path(scratch))
            _archive(Path(scratch) / "files", place / f"{name}.sources.tar", "w", epoch)
    else:
        (place / f"{name}.source-offer.txt").write_text(_OFFER.format(name=name))


def _installed(tree: Path) -> Iterator[Packages]:
    with (tree / "var/lib/dpkg/status").open() as status:
        for package in Packages.iter_paragraphs(status, use_apt_pkg=False):
            if package["Status"].endswith(" installed"):
                yield package


def _fetch(tree: Path, sources: list[Source], scratch: Path) -> None:
    """Download source packages from the archives of `tree` into scratch/files."""
    files, lists, parts = (scratch / name for name in ("files", "lists", "parts"))
    for directory in (files, lists / "partial", parts, scratch / "cache/archives/partial"):
        directory.mkdir(parents=True)
    for number, (suffix, text) in enumerate(_archives(tree)):
        (parts / f"{number}{suffix}").write_text(text)
    options = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": parts,
        "Dir::Etc::TrustedParts": tree / "etc/apt/trusted.gpg.d",
        "Dir::State::Lists": lists,
        "Dir::State::Status": tree / "var/lib/dpkg/status",
        "Dir::Cache": scratch / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"--option={name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True)
    missing = []
    for name, version in sources:
        download = [*apt, "source", "--download-only", "--only-source", f"{name}={version}"]
        if subprocess.run(download, cwd=files, check=False).returncode:
            missing.append(f"{name} {version}")
    if missing:
        raise Incomplete(
            f"the archives of this image did not give the source packages {', '.join(missing)}: if they have other "
            "versions by now, build the image anew (FRESH=1); if not all can be had, release without SOURCES=1"
        )


def _archives(tree: Path) -> Iterator[tuple[str, str]]:
    """Yield apt's lists of the archives of `tree`, for source packages: each list's suffix and content."""
    apt = tree / "etc/apt"
    for file in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if file.exists():
            yield ".list", _ONE_LINE.sub("deb-src", file.read_text())
    for file in sorted((apt / "sources.list.d").glob("*.sources")):
        with file.open() as content:
            stanzas = list(Deb822.iter_paragraphs(content, use_apt_pkg=False))
        for stanza in stanzas:
            stanza["Types"] = "deb-src"
            if stanza.get("Signed-By", "").startswith("/"):
                stanza["Signed-By"] = str(tree / stanza["Signed-By"].lstrip("/"))
        yield ".sources", "\n".join(stanza.dump() for stanza in stanzas)


def _archive_licences(tree: Path, archive: Path, epoch: int, strict: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="licences-", dir=archive.parent) as scratch:
        place = Path(scratch)
        missing = []
        for package in _installed(tree):
            copyright_ = _inside(tree, tree / "usr/share/doc" / package["Package"] / "copyright")
            if copyright_.is_file():
                _copy(copyright_, place / "debian" / package["Package"])
            else:
                missing.append(package["Package"])
        for text in sorted((tree / "usr/share/common-licenses").glob("*")):
            _copy(_inside(tree, text), place / "common-licenses" / text.name)
        for about in sorted(tree.glob(_PYTHON)):
            texts = [
                file for file in about.rglob("*") if re.match("licen[cs]e|copying|notice", file.name, re.IGNORECASE)
            ]
            for text in (*sorted(file for file in texts if file.is_file()), about / "METADATA"):
                _copy(text, place / "python" / about.name.removesuffix(".dist-info") / text.relative_to(about))
        if missing and strict:
            raise Incomplete(f"no copyright file in /usr/share/doc of {', '.join(missing)}")
        if missing:
            (place / "debian" / "without-copyright.txt").write_text("\n".join(missing) + "\n")
        _archive(place, archive, "w:xz", epoch)


def _inside(tree: Path, path: Path, links: int = 8) -> Path:
    """Follow symbolic links in `path`, an absolute one from the root of `tree`."""
    for part in (path, *path.parents):
        if part == tree or links == 0:
            break
        if part.is_symlink():
            target = str(part.readlink())
            start = tree if target.startswith("/") else part.parent
            followed = Path(os.path.normpath(start / target.lstrip("/"))) / path.relative_to(part)
            return _inside(tree, followed, links - 1)
    return path


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(file.read_bytes())


def _archive(place: Path, archive: Path, mode: str, epoch: int) -> None:
    """Write all files below `place` into a tar archive whose bytes depend on nothing else."""

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = epoch
        entry.mode = 0o644
        return entry

    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        for file in sorted(path for path in place.rglob("*") if path.is_file()):
            tar.add(file.resolve(), file.relative_to(place), filter=anonymous)
