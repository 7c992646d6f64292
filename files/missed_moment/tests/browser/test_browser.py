"""A clip in a real browser: it plays from beginning to end, and seeks."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from missed_moment import demo

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PLAY = """
async () => {
    const video = document.querySelector("video");
    const ready = new Promise((resolve, reject) => {
        video.addEventListener("canplaythrough", resolve, {once: true});
        video.addEventListener("error", () => reject(video.error.message), {once: true});
    });
    video.load();
    await ready;
    const ended = new Promise((resolve, reject) => {
        video.addEventListener("ended", resolve, {once: true});
        video.addEventListener("error", () => reject(video.error.message), {once: true});
    });
    video.muted = true;
    video.playbackRate = 4;
    await video.play();
    await ended;
    const quality = video.getVideoPlaybackQuality();
    return {duration: video.duration, width: video.videoWidth, height: video.videoHeight,
            shown: quality.totalVideoFrames, corrupted: quality.corruptedVideoFrames};
}
"""
SEEK = """
async (seconds) => {
    const video = document.querySelector("video");
    const seeked = new Promise(resolve => video.addEventListener("seeked", resolve, {once: true}));
    video.currentTime = seconds;
    await seeked;
    return video.currentTime;
}
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's own clip, as its stick holds it."""
    directory = tmp_path_factory.mktemp("demo")
    demo.by_itself(directory)
    [clip] = (directory / "stick" / "missed-moment").glob("*.mp4")
    return clip


@pytest.fixture
def page(clip: Path) -> Iterator[Page]:
    html = clip.with_name("page.html")
    html.write_text(f'<!doctype html><video src="{clip.name}" preload="auto"></video>')
    with sync_playwright() as playwright:
        chromium: dict[str, Any] = {"executable_path": os.environ["CHROMIUM"], "args": QUIET}
        browser = playwright.chromium.launch(**chromium)
        page = browser.new_page()
        page.goto(html.as_uri())
        yield page
        browser.close()


def test_it_plays_from_beginning_to_end(page: Page) -> None:
    played = page.evaluate(PLAY)
    assert abs(played["duration"] - (demo.BEFORE_S + demo.AFTER_S)) <= 1
    assert (played["width"], played["height"]) == (1280, 720)
    assert played["shown"] > 0
    assert played["corrupted"] == 0


@pytest.mark.parametrize("seconds", [0.5, 6.4, 12.0])
def test_it_seeks(page: Page, seconds: float) -> None:
    assert abs(page.evaluate(SEEK, seconds) - seconds) < 0.05
