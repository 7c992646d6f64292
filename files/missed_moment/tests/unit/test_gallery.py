"""The page on a stick: what it shows, and that nothing that a stranger wrote there becomes anything but text."""

import re
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.export import gallery
from missed_moment.export.directory import Directory
from missed_moment.export.gallery import Note
from missed_moment.export.handover import FOLDER, HandOver
from missed_moment.export.page import HEALTH, Page
from rig import store_moment

START = datetime(2026, 11, 24, 17, 3, 9, tzinfo=UTC)


def page(*notes: Note, device: str = "kitchen", zone: tzinfo = UTC, missing: tuple[str, ...] = ()) -> str:
    return gallery.render_page(notes, lambda name: name not in missing, device, zone).decode()


def note(number: int, **more: object) -> Note:
    return Note(clip=f"moment-{number:06}.mp4", device="kitchen", sequence=number, **more)


def titles(html: str) -> list[str]:
    return re.findall(r'<div class="when">(.*?)</div>', html)


def test_a_moment_has_its_date_in_the_owners_time_zone() -> None:
    moment = note(1, start=START, certain=True, length_s=65.2, sound=True)
    html = page(moment, zone=ZoneInfo("Europe/Berlin"))
    assert titles(html) == ["Tuesday, 24 November 2026, 18:03:09"]
    assert "1 min 5 s, with sound" in html
    assert "not certain" not in html
    assert "17:03:09" in page(moment)


def test_a_clock_that_was_not_certain_is_said() -> None:
    html = page(note(7, start=START, certain=False, length_s=9))
    assert titles(html) == ["Moment 7"]
    assert "taken when the clock was not certain" in html


def test_newest_first_and_only_what_is_there() -> None:
    notes = [note(number, start=START.replace(hour=number), certain=True) for number in (1, 2, 3)]
    html = page(*notes, missing=("moment-000002.mp4", "moment-000003.jpg"))
    assert re.findall(r'href="(moment.*?)"', html) == ["moment-000003.mp4", "moment-000001.mp4"]
    assert 'src="moment-000001.jpg"' in html
    assert "moment-000003.jpg" not in html
    assert "There is nothing here yet" in page()


def test_another_devices_moments_are_named() -> None:
    assert titles(page(note(1), device="garden")) == ["Moment 1 (kitchen)"]


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_names_are_text() -> None:
    clip = "'\"><script>alert(1)<&#x2f;script>.mp4"
    html = page(Note(clip=clip, device=HOSTILE[:64], sequence=1), device=HOSTILE)
    assert html.count("<script") == 1  # the page's own
    assert "<img src=x" not in html
    assert "javascript:" not in page(Note(clip="javascript:alert(1).mp4", device="d", sequence=1)).split("<script>")[0]


@pytest.mark.parametrize(
    "clip", ["../etc/passwd.mp4", "a/b.mp4", "a\\b.mp4", ".mp4", "clip.mkv", "x\n.mp4", "x" * 300 + ".mp4"]
)
def test_a_clip_is_one_name(clip: str) -> None:
    line = Note.model_construct(clip=clip, device="d", sequence=1).model_dump_json().encode()
    assert gallery.parse(line) == {}


def test_notes_come_back_as_they_were_written() -> None:
    notes = {each.clip: each for each in (note(1), note(2, start=START, certain=True, length_s=3, recovered=True))}
    assert gallery.parse(gallery.render_notes(notes)) == notes


def test_a_line_that_is_broken_takes_no_other_with_it() -> None:
    good = gallery.render_notes({"moment-000001.mp4": note(1)})
    assert list(gallery.parse(b'{"clip": 3}\n\xff\xfe\n' + good + b'{"clip":')) == ["moment-000001.mp4"]


@pytest.mark.parametrize(
    "start",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00",
     "0001-01-01T00:00:00", "9999-12-31T23:59:59"],
)  # fmt: skip
def test_a_year_that_no_calendar_knows_is_no_date(start: str) -> None:
    line = f'{{"clip": "a.mp4", "device": "kitchen", "sequence": 1, "start": "{start}", "certain": true}}'
    html = page(*gallery.parse(line.encode()).values(), zone=ZoneInfo("Pacific/Auckland"))
    assert titles(html) == ["Moment 1"]


@given(st.datetimes(timezones=st.none() | st.timezones()), st.timezones())
def test_any_date_makes_a_page(start: datetime, zone: tzinfo) -> None:
    page(note(1, start=start, certain=True), note(2, start=START, certain=True), zone=zone)


@given(st.binary(max_size=2000))
def test_whatever_lies_on_a_stick_is_read_or_passed_over(data: bytes) -> None:
    page(*gallery.parse(data).values())


@given(st.from_regex(r"[^/\\\x00-\x1f\x7f]{1,40}\.mp4", fullmatch=True), st.text(max_size=64))
def test_any_note_makes_a_page(clip: str, device: str) -> None:
    html = page(Note(clip=clip, device=device, sequence=3), device=device)
    assert html.count("<li>") == 1
    assert html.count("<script") == 1


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    for _ in range(2):
        store_moment(tmp_path / "clips", seconds=1)
    return Catalogue(tmp_path / "clips", LocalDisk())


def test_a_stick_has_a_page_thumbnails_and_a_word_on_health(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    HandOver(catalogue, tmp_path / "stick", Page("kitchen", health="all is well\n")).run()
    folder = tmp_path / "stick" / FOLDER
    assert (folder / HEALTH).read_text() == "all is well\n"
    assert titles((folder / gallery.INDEX).read_text()) == ["Moment 2 (test)", "Moment 1 (test)"]
    for moment in catalogue.moments():
        assert (folder / f"{moment.path.name}.jpg").read_bytes() == (moment.path / "thumbnail.jpg").read_bytes()


def test_what_left_the_device_stays_on_the_page(catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    HandOver(catalogue, tmp_path / "stick").run()
    for moment in catalogue.moments():
        catalogue.remove(moment)
    store_moment(tmp_path / "clips", seconds=1)
    HandOver(catalogue, tmp_path / "stick").run()
    assert len(titles((tmp_path / "stick" / FOLDER / gallery.INDEX).read_text())) == 3


@pytest.mark.parametrize("name", [gallery.INDEX, gallery.NOTES, HEALTH])
def test_what_is_in_the_way_is_said_and_no_clip_is_lost(name: str, catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "stick" / FOLDER / name / "full").mkdir(parents=True)
    report = HandOver(catalogue, tmp_path / "stick").run()
    assert len(report.copied) == 2
    assert "is in the way" in report.trouble


def test_a_page_is_replaced_at_once(tmp_path: Path) -> None:
    with Directory.create(tmp_path, "d") as directory:
        directory.replace("page", b"old")
        (tmp_path / "d" / "page.part").write_bytes(b"left over from a stick that was pulled")
        directory.replace("page", b"new")
        assert directory.read("page", 100) == b"new"
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["page"]
