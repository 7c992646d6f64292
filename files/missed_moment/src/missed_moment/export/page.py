"""What lies on a stick besides clips: a page to open, and how the camera is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo

from missed_moment.export import gallery
from missed_moment.export.directory import Directory
from missed_moment.export.gallery import Note

HEALTH = "health.txt"


@dataclass(frozen=True)
class Page:
    """The device's name, its time zone, and what it says of its health."""

    device: str = "missed-moment"
    zone: tzinfo = UTC
    health: str = ""

    def write(self, stick: Directory, notes: Mapping[str, Note], trouble: str) -> None:
        """Write health, notes and page anew; `trouble` is with this stick. Raises OSError as the stick does."""
        self.write_health(stick, trouble)
        there = {clip: note for clip, note in notes.items() if stick.exists(clip)}
        stick.replace(gallery.NOTES, gallery.render_notes(there))
        stick.replace(gallery.INDEX, gallery.render_page(there.values(), stick.exists, self.device, self.zone))

    def write_health(self, stick: Directory, trouble: str) -> None:
        """Write `health.txt` anew. Raises OSError as the stick does."""
        health = self.health + (f"\nthis stick: {trouble}\n" if trouble else "")
        stick.replace(HEALTH, health.encode())
