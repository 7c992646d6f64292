"""Settings: anything may stand in the file; the recorder always gets settings it can use."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given

from missed_moment.config import Settings, load, parse
from toml_files import TABLES, toml_files


def test_no_file_means_defaults_and_is_no_problem(tmp_path: Path) -> None:
    loaded = load(tmp_path / "missed-moment.toml")
    assert loaded.settings == Settings()
    assert loaded.problems == ()


def test_what_is_written_is_used(tmp_path: Path) -> None:
    path = tmp_path / "missed-moment.toml"
    path.write_bytes(b"\xef\xbb\xbf[moment]\r\nbefore_s = 30\r\n[video]\nbitrate_mbps = 4\n")
    loaded = load(path)
    assert loaded.problems == ()
    assert loaded.settings.moment.before_s == 30
    assert loaded.settings.moment.after_s == 5
    assert loaded.settings.video.bitrate_mbps == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[moment]\nbefore_s = 999", ["missed-moment.toml, line 2: [moment] before_s = 999"]),
        ("[video]\nwidth = 4800", ["[video] width = 4800", "less than or equal to 1920", "pixels", "1280 is used"]),
        ("[video]\nwidth = 1281", ["multiple of 16", "1280 is used"]),
        ('[video]\nwidth = "1280"', ["[video] width = '1280'", "valid integer"]),
        ("[video]\nwidth = true", ["[video] width = True", "valid integer"]),
        ("[video]\nbitrate_mbps = inf", ["finite", "6.0 is used"]),
        ("[video]\nrotation = 45", ["0, 90, 180 or 270"]),
        ("[video]\nwidht = 640", ["[video] widht is not a setting", "width, height"]),
        ("[vidoe]\nwidth = 640", ["[vidoe] is not a setting", "video, sound"]),
        ("video = 3", ["[video] must be a table"]),
        ('[store]\nwhen_full = "delete"', ["'stop' or 'oldest'", '"stop" is used']),
        ("[stick]\nfilesystems = []", ["[stick] filesystems", '["vfat", "exfat"] is used']),
        ('[stick]\nfilesystems = ["hfs", "zfs"]', ["[stick] filesystems", "'vfat'"]),
        ('[device]\nname = "../../etc"', ["[device] name", "letters, digits and hyphens"]),
        ('[device]\ntimezone = "Europe/Berln"', ["[device] timezone", "a time zone that this system knows"]),
        ('[device]\ntimezone = "Europe"', ["a time zone that this system knows", '"UTC" is used']),
        ("[button]\npin = 27", ["a pin of its own"]),
        ('"a\\nb" = 1', ['["a\\nb"] is not a setting']),
    ],
)
def test_a_bad_key_gets_one_line_that_says_what_is_allowed(text: str, words: list[str]) -> None:
    loaded = parse(text)
    assert loaded.settings == Settings()
    [problem] = loaded.problems
    assert "\n" not in problem
    for word in words:
        assert word in problem


def test_a_bad_key_leaves_its_neighbours_alone() -> None:
    loaded = parse("[video]\nwidth = 640\nheight = 7\n[moment]\nbefore_s = 20\nafter_s = -1\n")
    assert len(loaded.problems) == 2
    assert loaded.settings.video.width == 640
    assert loaded.settings.video.height == 720
    assert loaded.settings.moment.before_s == 20
    assert loaded.settings.moment.after_s == 5


@pytest.mark.parametrize("content", [b"[video", b"x = " + b"[" * 5000, b"n = " + b"9" * 5000])
def test_a_file_that_is_no_toml_is_one_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "missed-moment.toml"
    path.write_bytes(content)
    loaded = load(path)
    assert loaded.settings == Settings()
    assert len(loaded.problems) == 1


@pytest.mark.parametrize(
    "content", [b"a" * 70_000, b"\0" * 512, b"\xff\xfe\x00", bytes(range(256)), b"# " + b"-" * 2**20]
)
def test_nobody_knows_what_a_damaged_or_huge_file_switches_off(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "missed-moment.toml"
    path.write_bytes(content)
    loaded = load(path)
    assert not loaded.settings.sound.enabled
    assert not loaded.camera_allowed
    assert loaded.problems


def test_a_directory_in_its_place_is_one_problem(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert "cannot be read" in loaded.problems[0]
    assert not loaded.camera_allowed


@given(toml_files)
@example("video = {width = 640}\nbutton = {pin = 27, switch_pin = 27}")
def test_any_toml_gives_settings_and_a_line_for_each_bad_key(text: str) -> None:
    written = tomllib.loads(text)
    loaded = parse(text)
    assert Settings.model_validate(loaded.settings.model_dump()) == loaded.settings
    assert len(set(loaded.problems)) == len(loaded.problems)
    problems = "\n".join(loaded.problems)
    for name, table in written.items():
        if name not in TABLES or not isinstance(table, dict):
            assert problems, f"{name} was passed over in silence"
            continue
        for key, value in table.items():
            used = getattr(getattr(loaded.settings, name), key, None) if key in TABLES[name] else None
            accepted = type(used) in {type(value), float} and used == value
            assert accepted or f"[{name}]" in problems, f"[{name}] {key} was passed over in silence"
