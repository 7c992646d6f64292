"""The page on a stick in a real browser, opened from a file as a person would: it plays, and nobody else is asked."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright

from missed_moment.clock import NS
from missed_moment.export import page as beside
from missed_moment.export.handover import FOLDER, HandOver
from rig import order_of, writer_for
from sound_rig import SoundCard, flashing_film

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZES = {"phone": (390, 844), "laptop": (1280, 800)}


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stick with three moments: two with a date, and one from before anybody told the time."""
    place = tmp_path_factory.mktemp("stick")
    catalogue, writer = writer_for(place / "store")
    for number, day in enumerate((None, 22, 24)):
        start_ns = (100 + number) * NS + 150_000_000
        blocks = list(SoundCard(start_ns - NS).hear(0, start_ns + 4 * NS))
        moment = writer.write(order_of(flashing_film(start_ns, 4), blocks=blocks), lambda _: None)
        dated = {"device": "kitchen", "clock_certain": day is not None}
        if day:
            dated["start"] = datetime(2026, 11, day, 16, 41, 7, tzinfo=UTC)
        catalogue.write_info(moment.path, moment.info().model_copy(update=dated))
    HandOver(catalogue, place, beside.Page("kitchen")).run()
    return place / FOLDER


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids=" ".join)
def page(stick: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, on a phone and on a laptop, by day and by night; it asks nobody and complains of nothing."""
    size, scheme = request.param
    asked: list[str] = []
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=QUIET)
        width, height = SIZES[size]
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)

        def note_request(request: Request) -> None:
            asked.append(request.url)

        def note_word(message: ConsoleMessage) -> None:
            said.append(message.text)

        page.on("request", note_request)
        page.on("console", note_word)
        page.goto((stick / "index.html").as_uri())
        yield page
        if shots := os.environ.get("SCREENSHOTS"):  # for docs/pictures
            page.screenshot(path=Path(shots) / f"gallery-{size}-{scheme}.png")
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(stick.as_uri())] == []


def test_each_moment_is_shown_with_its_picture(page: Page) -> None:
    assert page.locator("li").count() == 3
    page.mouse.wheel(0, 5000)  # pictures are loaded when they come into sight
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth === 320)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it is wider than the screen"


def test_a_moment_plays_in_place_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('video').currentTime > 0.3")
    assert page.locator("dialog p").inner_text() == "Tuesday, 24 November 2026, 16:41:07"
    page.get_by_role("button", name="Older").click()
    page.wait_for_function("document.querySelector('video').currentSrc.endsWith('16-41-07_moment-000002.mp4')")
    page.wait_for_function("document.querySelector('video').currentTime > 0.3")
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.href?.endsWith('16-41-07_moment-000002.mp4')")
    assert not page.locator("dialog").is_visible()


def test_nothing_shuts_anybody_out(page: Page) -> None:
    found = Axe().run(page)
    assert [(each["id"], each["help"]) for each in found.response["violations"]] == []
    page.locator("a").first.click()
    found = Axe().run(page)
    assert [(each["id"], each["help"]) for each in found.response["violations"]] == []
    page.keyboard.press("Escape")
