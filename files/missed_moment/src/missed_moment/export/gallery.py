"""`index.html`: what a person sees who opens the stick, on any computer, without a network.

A stick may hold moments that the device no longer has, and another device's. What is known of each is noted on the
stick itself, one line of JSON a moment (`moments.jsonl`); anyone may have written there, so lines that are not exactly
as ours are passed over, names are single components, and the template escapes all of it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from missed_moment.clips.catalogue import MomentInfo

INDEX = "index.html"
NOTES = "moments.jsonl"
MAX_NOTES = 8 * 1024 * 1024
"""Bytes; some ten thousand moments. What a stick holds beyond that is not ours."""

_YEARS = range(1970, 9000)
_NAME = r"^[^/\\\x00-\x1f\x7f]{1,200}\.mp4$"


class Note(BaseModel):
    """What is known of one clip on a stick; `about` where its start is only about right.

    `sha256` is that of the clip: a name may come to mean another moment, when a clip was deleted by hand or the card
    of the device was flashed anew. Notes of before this was recorded have none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    clip: str = Field(pattern=_NAME)
    device: str = Field(max_length=64)
    sequence: int = Field(ge=0, lt=10**9)
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    start: datetime | None = None
    certain: bool = False
    about: bool = False
    length_s: float | None = Field(None, ge=0, lt=10**6)
    sound: bool = False
    recovered: bool = False

    @field_validator("start")
    @classmethod
    def _possible(cls, start: datetime | None) -> datetime | None:
        """A year that calendars and time zones cannot handle is no date."""
        if start is None or start.year not in _YEARS:
            return None
        return start if start.tzinfo else start.replace(tzinfo=UTC)

    @classmethod
    def of(cls, sequence: int, info: MomentInfo | None, clip: str, sha256: str, device: str) -> "Note":
        """Describe the moment whose clip is called `clip` on the stick; `device` is used if `info` is missing."""
        if info is None:
            return cls(clip=clip, device=device, sequence=sequence, sha256=sha256)
        return cls(
            clip=clip,
            device=info.device,
            sequence=sequence,
            sha256=sha256,
            start=info.start,
            certain=info.clock_certain,
            about=info.clock_from_stick,
            length_s=info.duration_s,
            sound=info.sound is not None,
            recovered=info.recovered,
        )


@dataclass(frozen=True)
class _Entry:
    """One clip as the page shows it."""

    href: str
    title: str
    length: str
    thumbnail: str | None
    sound: bool
    certain: bool
    recovered: bool


def thumbnail_name(clip: str) -> str:
    """Name the picture that belongs to a clip: many players look for one of the same name."""
    return clip.removesuffix(".mp4") + ".jpg"


def parse(data: bytes) -> dict[str, Note]:
    """Read the notes of a stick: clip -> note."""
    notes = {}
    for line in data[:MAX_NOTES].splitlines():
        try:
            note = Note.model_validate_json(line)
        except ValidationError:
            continue
        notes[note.clip] = note
    return notes


def render_notes(notes: Mapping[str, Note]) -> bytes:
    """Write the notes of a stick."""
    return b"".join(note.model_dump_json().encode() + b"\n" for _, note in sorted(notes.items()))


def render_page(notes: Iterable[Note], exists: Callable[[str], bool], device: str, zone: tzinfo) -> bytes:
    """Return the page, newest moment first; `exists` tells whether the stick has a file of that name."""
    there = [note for note in notes if exists(note.clip)]
    there.sort(
        key=lambda note: (note.certain, note.start.timestamp() if note.start else 0, note.sequence), reverse=True
    )
    page = _template.render(device=device, entries=[_entry(note, exists, device, zone) for note in there])
    return page.encode()


def _entry(note: Note, exists: Callable[[str], bool], device: str, zone: tzinfo) -> _Entry:
    thumbnail = thumbnail_name(note.clip)
    title = f"Moment {note.sequence}"
    if note.start is not None and note.certain:
        title = f"{note.start.astimezone(zone):%A, %-d %B %Y, %H:%M:%S}"
    elif note.start is not None and note.about:
        title = f"About {note.start.astimezone(zone):%-d %B %Y}"
    if note.device != device:
        title += f" ({note.device})"
    return _Entry(
        href=quote(note.clip),
        title=title,
        length=_length(note.length_s),
        thumbnail=quote(thumbnail) if exists(thumbnail) else None,
        sound=note.sound,
        certain=note.certain,
        recovered=note.recovered,
    )


def _length(seconds: float | None) -> str:
    if seconds is None:
        return "length unknown"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_template = Environment(
    loader=PackageLoader("missed_moment", "export"), autoescape=True, trim_blocks=True, lstrip_blocks=True
).get_template("gallery.html.j2")
