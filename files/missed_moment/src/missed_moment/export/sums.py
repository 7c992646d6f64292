"""`SHA256SUMS`, as `sha256sum -c` reads it: 64 hex digits, a space, `*` or a space, a name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

NAME = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *]([^/\\\x00-\x1f\x7f]{1,255})")
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
MAX_BYTES = 8 * 1024 * 1024  # a hundred thousand clips; a larger file is not ours


@dataclass
class Sums:
    """The content of a `SHA256SUMS`: `known` is name -> digest, `unread` are all other lines, as they are."""

    known: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def render(self) -> bytes:
        """Write it: the known ones sorted by name, then lines of others."""
        known = (f"{digest} *{name}" for name, digest in sorted(self.known.items()))
        return "".join(f"{line}\n" for line in (*known, *self.unread)).encode(errors="surrogateescape")


def parse(data: bytes) -> Sums:
    """Read it. Anyone may have written it: editors leave byte order marks, carriage returns and capitals.

    A line that names no file of this directory is not understood, and kept: it is somebody's.
    """
    if data.startswith(_UTF16_BOMS):
        text = data.decode("utf-16", errors="replace").encode(errors="replace").decode()
    else:
        text = data.decode(errors="surrogateescape")
    sums = Sums()
    for line in _lines(text.lstrip("\ufeff")):
        if match := _LINE.fullmatch(line.rstrip("\r")):
            sums.known[match[2]] = match[1].lower()
        else:
            sums.unread.append(line)
    return sums


def _lines(text: str) -> Iterable[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines
