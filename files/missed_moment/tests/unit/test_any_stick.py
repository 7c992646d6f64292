"""Whatever lies in the files that are read from a stick: it is read or passed over, and comes back as it was read.

MISSED_MOMENT_STICKS sets how many are tried of each; `make prove` tries 120,000, which takes some ten minutes.
"""

import os
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from missed_moment.export import gallery, sums
from missed_moment.export.gallery import Note
from missed_moment.export.sums import Sums

EXAMPLES = int(os.environ.get("MISSED_MOMENT_STICKS", "300"))
THOROUGH = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

SUMS = Sums({f"moment-{number:06}.mp4": f"{number:064x}" for number in range(5)}).render()
NOTES = gallery.render_notes(
    {
        f"moment-{number:06}.mp4": Note(
            clip=f"moment-{number:06}.mp4",
            device="kitchen",
            sequence=number,
            sha256=f"{number:064x}",
            start=datetime(2026, 11, 24, tzinfo=UTC),
            certain=True,
            length_s=65.0,
            sound=True,
        )
        for number in range(5)
    }
)


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Take good bytes, and change, drop, repeat and insert some."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 8))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 60)))
        match draw(st.sampled_from(["change", "drop", "repeat", "insert"])):
            case "change":
                data[begin:end] = draw(st.binary(min_size=end - begin, max_size=end - begin))
            case "drop":
                del data[begin:end]
            case "repeat":
                data[end:end] = data[begin:end] * draw(st.integers(1, 20))
            case _:
                data[begin:begin] = draw(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: text.encode()))
    return bytes(data)


@THOROUGH
@given(damaged(SUMS) | st.binary(max_size=500))
def test_any_sums(data: bytes) -> None:
    read = sums.parse(data)
    assert all(name and "/" not in name and "\\" not in name for name in read.known)
    assert sums.parse(read.render()) == read


@THOROUGH
@given(damaged(NOTES) | st.binary(max_size=500))
def test_any_notes(data: bytes) -> None:
    notes = gallery.parse(data)
    assert all(name.endswith(".mp4") and "/" not in name and "\\" not in name for name in notes)
    assert gallery.parse(gallery.render_notes(notes)) == notes
    page = gallery.render_page(notes.values(), lambda _: True, "kitchen", UTC).decode()
    assert page.count("<li>") == len(notes)
    assert page.count("<script") == 1
