"""The stick that has less memory than it reports: it must be as bad as real ones are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from machines import less_than_it_says as stick


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    (tmp_path / "image").write_bytes(bytes(1000))
    monkeypatch.setattr(stick, "_wanted", {"image": str(tmp_path / "image"), "real_bytes": "600"})
    descriptor = stick.open(False)
    yield descriptor
    os.close(descriptor)


def read(image: int, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    stick.pread(image, buffer, offset, 0)
    return bytes(buffer)


def test_what_is_written_behind_its_end_is_gone(image: int) -> None:
    stick.pwrite(image, bytearray(b"a" * 400), 400, 0)
    assert read(image, 400, 400) == b"a" * 200 + bytes(200)
    assert stick.get_size(image) == 1000


def test_one_that_wraps_around_gives_back_what_was_written_last(image: int) -> None:
    stick.config("wrap_from", "200")
    stick.pwrite(image, bytearray(b"a" * 400), 200, 0)
    assert read(image, 200, 400) == b"a" * 400
    stick.pwrite(image, bytearray(b"b" * 300), 650, 0)  # reads back rightly, and lies over the first
    assert read(image, 650, 300) == b"b" * 300
    assert read(image, 200, 400) == b"a" * 50 + b"b" * 300 + b"a" * 50
    assert read(image, 0, 200) == bytes(200)
