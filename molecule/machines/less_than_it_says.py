"""A stick that has less memory than it says: what is written behind its end is gone, and it does not say so.

A plugin for nbdkit, from which QEMU gets it as a disk. Parameters: image, and real_bytes, where its memory ends.
"""

import os

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
    """Read: behind the end, nothing."""
    held = os.pread(image, max(0, min(len(buffer), int(_wanted["real_bytes"]) - offset)), offset)
    buffer[:] = held + bytes(len(buffer) - len(held))


def pwrite(image: int, buffer: bytearray, offset: int, _flags: int) -> None:
    """Write: not behind the end."""
    os.pwrite(image, buffer[: max(0, int(_wanted["real_bytes"]) - offset)], offset)


def flush(image: int, _flags: int) -> None:
    """See to it that it is there."""
    os.fsync(image)
