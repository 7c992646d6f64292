"""Clips of a camera that was started again with another format, in a real browser: each plays, and seeks back."""

import itertools
import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from test_browser import PLAY, QUIET, SEEK

from rig import FORMATS, order_of, restarted_film, writer_for


@pytest.mark.parametrize("formats", FORMATS)
def test_each_clip_plays_and_seeks_back(formats: str, tmp_path: Path) -> None:
    catalogue, writer = writer_for(tmp_path / "store")
    writer.write(order_of(list(itertools.chain(*restarted_film(formats)))), lambda _: None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=QUIET)
        for moment in catalogue.moments():
            html = tmp_path / f"{moment.path.name}.html"
            html.write_text(f'<!doctype html><video src="{moment.clip.as_uri()}" preload="auto"></video>')
            page = browser.new_page()
            page.goto(html.as_uri())
            played = page.evaluate(PLAY)
            assert played["duration"] == pytest.approx(2, abs=0.05)
            info = moment.info()
            assert (played["width"], played["height"]) == (info.width, info.height)
            assert played["shown"] > 0
            assert played["corrupted"] == 0
            for seconds in (1.5, 0.2, 1.0, 0.0):
                assert page.evaluate(SEEK, seconds) == pytest.approx(seconds, abs=0.05)
            assert page.evaluate("document.querySelector('video').error") is None
            page.close()
        browser.close()
