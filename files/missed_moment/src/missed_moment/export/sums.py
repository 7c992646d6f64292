"""`SHA256SUMS`, as `sha256sum -c` reads it: 64 hex digits, a space, `*` or a space, a name."""

import re

NAME = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\x00-\x1f\x7f]{1,255})")
MAX_BYTES = 8 * 1024 * 1024  # a hundred thousand clips; what a stick holds beyond that is not ours


def parse(data: bytes) -> dict[str, str]:
    """Read name -> digest. Anyone may have written it: lines that are not exactly as ours are passed over."""
    text = data[:MAX_BYTES].decode("utf-8", errors="replace")
    return {match[2]: match[1] for line in text.split("\n") if (match := _LINE.fullmatch(line))}


def render(sums: dict[str, str]) -> bytes:
    """Write it, sorted by name."""
    return "".join(f"{digest} *{name}\n" for name, digest in sorted(sums.items())).encode()
