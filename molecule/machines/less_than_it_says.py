"""A stick that has less memory than it reports, without any error.

What is written behind the end of its memory is gone; or, if it wraps around, lands where something else was written
before. A plugin for nbdkit, from which QEMU gets it as a disk. Parameters: image; real_bytes, where its memory ends;
and wrap_from, where addresses begin again behind that end.
"""

import os
from collections.abc import Iterator

API_VERSION = 2

_wanted: dict[str, str] = {}


def config(key: str, value: str) -> None:
    """Take a parameter."""
    _wanted[key] = value


def open(_readonly: bool) -> int:  # noqa: A001 - its name in the plugin interface
    """Open the image; what is returned is the first argument of the functions below."""
    return os.open(_wanted["image"], os.O_RDWR)


def get_size(image: int) -> int:
    """Say how much there is."""
    return os.fstat(image).st_size


def pread(image: int, buffer: bytearray, offset: int, _flags: int) -> None:
    """Read: behind the end, nothing, or what is where it wraps to."""
    for at, part in _parts(offset, len(buffer)):
        held = os.pread(image, len(part), at) if at is not None else b""
        buffer[part.start : part.stop] = held + bytes(len(part) - len(held))


def pwrite(image: int, buffer: bytearray, offset: int, _flags: int) -> None:
    """Write: not behind the end, or where it wraps to."""
    for at, part in _parts(offset, len(buffer)):
        if at is not None:
            os.pwrite(image, buffer[part.start : part.stop], at)


def _parts(offset: int, length: int) -> Iterator[tuple[int | None, range]]:
    """Yield stretches of a request, each with its address in the memory; None where there is no memory."""
    real, start = int(_wanted["real_bytes"]), 0
    wrap_from = int(_wanted.get("wrap_from", -1))
    while start < length:
        at = offset + start
        if at < real:
            count = min(length - start, real - at)
            yield at, range(start, start + count)
        elif wrap_from < 0:
            count = length - start
            yield None, range(start, length)
        else:
            wrapped = wrap_from + (at - wrap_from) % (real - wrap_from)
            count = min(length - start, real - wrapped)
            yield wrapped, range(start, start + count)
        start += count


def flush(image: int, _flags: int) -> None:
    """See to it that it is there."""
    os.fsync(image)
