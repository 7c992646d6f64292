"""The command line as a person and a script meet it; the recorder runs as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from missed_moment import demo
from missed_moment.clips.catalogue import Catalogue
from missed_moment.durable import LocalDisk
from missed_moment.export.handover import FOLDER
from rig import assert_whole, store_moment, wait_for

SRC = Path(__file__).parents[2] / "src"
QUICK = "[video]\nwidth = 256\nheight = 144\nbitrate_mbps = 0.5\n[moment]\nbefore_s = 5\nafter_s = 1\n"


def python(*arguments: object, at: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": f"{SRC}:{Path(__file__).parents[1]}", "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=at)


def missed_moment(*arguments: object, at: Path | None = None) -> subprocess.CompletedProcess[str]:
    return python("-m", "missed_moment", *arguments, at=at)


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def recorder(tmp_path: Path, socket: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "settings.toml").write_text(QUICK)
    command = [sys.executable, "-m", "missed_moment", "run", "--camera", "synthetic", "--socket", str(socket)]
    command += ["--config", str(tmp_path / "settings.toml"), "--store", str(tmp_path / "clips")]
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: process.poll() is not None or missed_moment("status", "--socket", socket).returncode == 0)
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)


def status(socket: Path) -> dict[str, object]:
    answer = missed_moment("status", "--json", "--socket", socket)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_the_way_of_a_moment(recorder: subprocess.Popen[str], tmp_path: Path, socket: Path) -> None:
    store = tmp_path / "clips"
    wait_for(lambda: status(socket)["ring"]["seconds"] >= 2)
    assert missed_moment("press", "--socket", socket).stdout.startswith("kept")
    wait_for(lambda: status(socket)["store"]["moments"] == 1)
    told = status(socket)
    assert told.keys() == {
        "state",
        "led",
        "camera",
        "video",
        "sound",
        "ring",
        "frames",
        "store",
        "stick",
        "faults",
        "versions",
        "copied",
        "history",
        "restarts",
        "temperature_c",
        "power",
    }
    assert told["camera"] == "synthetic"
    assert told["faults"] == {}
    assert told["frames"]["lost"] == 0
    assert told["store"]["not_exported"] == 1
    listed = json.loads(missed_moment("clips", "--json", "--store", store).stdout)
    assert [(row["sequence"], row["exported"]) for row in listed] == [(1, False)]
    (tmp_path / "stick").mkdir()
    exported = missed_moment("export", tmp_path / "stick", "--store", store, "--socket", socket)
    assert "1 copied and verified" in exported.stdout
    wait_for(lambda: status(socket)["store"]["not_exported"] == 0)
    checked = missed_moment("check", tmp_path / "stick" / "missed-moment", "--store", store)
    assert checked.returncode == 0
    assert checked.stdout.startswith("ok")
    seen = status(socket)["frames"]["seen"]
    assert missed_moment("forget", "--socket", socket).returncode == 0
    told = status(socket)
    assert told["ring"]["pictures"] <= told["frames"]["seen"] - seen
    assert missed_moment("status", "--socket", socket).returncode == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_ended_politely_it_finishes_what_was_pressed_for(
    recorder: subprocess.Popen[str], tmp_path: Path, socket: Path, ending: signal.Signals
) -> None:
    wait_for(lambda: status(socket)["ring"]["seconds"] >= 1)
    missed_moment("press", "--socket", socket)
    recorder.send_signal(ending)
    assert recorder.wait(30) == 0
    [moment] = Catalogue(tmp_path / "clips", LocalDisk()).moments()
    assert len(assert_whole(moment.clip)) >= 30
    assert not socket.exists()


def test_the_status_says_what_is_wrong_with_the_settings(tmp_path: Path, socket: Path) -> None:
    (tmp_path / "s.toml").write_text("[video]\nwidht = 1\n")
    command = [sys.executable, "-m", "missed_moment", "run", "--camera", "synthetic", "--socket", str(socket)]
    command += ["--config", str(tmp_path / "s.toml"), "--store", str(tmp_path / "clips")]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SRC)}, stderr=subprocess.PIPE) as process:
        wait_for(lambda: missed_moment("status", "--socket", socket).returncode == 0)
        told = missed_moment("status", "--socket", socket).stdout
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert "s.toml, line 2: [video] widht is not a setting" in " ".join(told.split())
    assert b"lgpio cannot be imported" in said  # there is no GPIO here
    assert b"Fallback" not in said


def test_a_second_recorder_says_why_it_does_not_start(
    recorder: subprocess.Popen[str], tmp_path: Path, socket: Path
) -> None:
    second = missed_moment("run", "--camera", "synthetic", "--socket", socket, "--store", tmp_path / "other")
    assert second.returncode == 1
    assert "does a recorder run already" in second.stderr


@pytest.mark.parametrize("command", ["press", "forget", "status"])
def test_without_a_recorder_the_exit_code_is_three(socket: Path, command: str) -> None:
    refused = missed_moment(command, "--socket", socket)
    assert refused.returncode == 3
    assert "is it running" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_press_does_not_wait_for_what_it_does_not_need() -> None:
    loaded = f"import sys; sys.path.insert(0, {str(SRC)!r}); import missed_moment.cli; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True).stdout
    assert not {"av", "numpy", "pydantic", "rich"} & set(said.split())


@pytest.mark.parametrize("arguments", [["nonsense"], ["export"], ["run", "--camera", "kodak"], ["export", "/nowhere"]])
def test_wrong_usage_is_exit_code_two(arguments: list[str]) -> None:
    refused = missed_moment(*arguments)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", [[], ["run"], ["press"], ["status"], ["clips"], ["export"], ["check"], ["demo"]])
def test_help_is_there_and_tells_the_exit_codes(command: list[str]) -> None:
    told = missed_moment(*command, "--help")
    assert told.returncode == 0
    assert "Exit codes: 0 done" in told.stdout


def test_check_finds_what_is_wrong(tmp_path: Path) -> None:
    store = tmp_path / "clips"
    for _ in range(2):
        store_moment(store)
    assert missed_moment("check", "--store", store, "--config", tmp_path / "none").returncode == 0
    clip = store / "moment-000002" / "clip.mp4"
    clip.write_bytes(clip.read_bytes()[:-500])
    (tmp_path / "bad.toml").write_text("[video]\nwidht = 1\n")
    found = missed_moment("check", "--store", store, "--config", tmp_path / "bad.toml")
    assert found.returncode == 1
    assert found.stdout.count("BAD") == 2
    assert "widht" in found.stdout
    assert "moment-000002" in found.stdout


def test_a_store_that_is_no_directory_is_one_line_and_exit_code_one(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("")
    refused = missed_moment("clips", "--store", tmp_path / "clips")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1


def test_an_empty_store_is_no_error(tmp_path: Path) -> None:
    assert missed_moment("clips", "--store", tmp_path / "none").returncode == 0
    (tmp_path / "stick").mkdir()
    (tmp_path / "empty").mkdir()
    assert missed_moment("export", tmp_path / "stick", "--store", tmp_path / "empty").returncode == 0


def test_a_store_that_is_missing_is_told_and_the_page_is_written(tmp_path: Path) -> None:
    """Its disk is not mounted: that must not look as if there were no moments."""
    (tmp_path / "stick").mkdir()
    refused = missed_moment("export", tmp_path / "stick", "--store", tmp_path / "none")
    assert refused.returncode == 1
    assert "the clip store cannot be read (No such file or directory" in refused.stderr
    assert "[Errno" not in refused.stderr
    assert (tmp_path / "stick" / FOLDER / "health.txt").exists()


def test_check_in_the_directory_of_a_stick(tmp_path: Path) -> None:
    store_moment(tmp_path / "clips", seconds=1)
    (tmp_path / "stick").mkdir()
    assert missed_moment("export", tmp_path / "stick", "--store", tmp_path / "clips").returncode == 0
    for place in (tmp_path / "stick", tmp_path / "stick" / FOLDER):
        checked = missed_moment("check", ".", at=place)
        assert checked.returncode == 0, checked.stderr
        assert checked.stdout.startswith("ok")


def test_the_demo_by_itself(tmp_path: Path) -> None:
    done = missed_moment("demo", "--directory", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    [copy] = (tmp_path / "demo" / "stick" / "missed-moment").glob("*.mp4")
    numbers = assert_whole(copy)
    gop = 1
    assert abs(len(numbers) / 30 - (demo.BEFORE_S + demo.AFTER_S)) <= gop


def test_a_bug_in_a_thread_ends_the_recorder_so_that_it_is_started_again(tmp_path: Path) -> None:
    """Its housekeeping dies of something that no one expected."""
    dying = """
import sys
from pathlib import Path
from missed_moment.places import Places
from missed_moment.services import program
from missed_moment.services.recorder import Recorder

def climb(*_):
    raise ZeroDivisionError("a bug")

Recorder._climb = climb
directory = Path(sys.argv[1])
program.run(Places(directory / "none.toml", directory / "clips", directory / "s"), "synthetic")
"""
    died = python("-c", dying, tmp_path)
    assert died.returncode == 70
    assert "ZeroDivisionError: a bug" in died.stderr


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("network.enabled", 0, "true"),
        ("moment.before_s", 0, "60"),
        ("stick.delete_after_export", 1, "false"),
        ("network.enabled.x", 1, "network.enabled.x is not a setting"),
        ("network", 1, "what there is: video.width"),
        ("model_config.strict", 1, "is not a setting"),
    ],
)
def test_a_setting_is_told_to_a_unit_that_depends_on_it(name: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[network]\nenabled = true\n[moment]\nbefore_s = 'x'\n")
    told = missed_moment("setting", name, "--config", tmp_path / "settings.toml")
    assert told.returncode == code
    assert said in told.stdout + told.stderr


@pytest.mark.setting("network.enabled")
@pytest.mark.parametrize(
    ("written", "code"), [("", 1), ("[network]\nenabled = false\n", 1), ("[network]\nenabled = true\n", 0)]
)
def test_the_network_is_on_where_the_settings_say_so(written: str, code: int, tmp_path: Path) -> None:
    """The unit that loads the network's drivers has this command as its condition."""
    (tmp_path / "settings.toml").write_text(written)
    assert missed_moment("setting", "network.enabled", "--config", tmp_path / "settings.toml").returncode == code


@pytest.mark.setting("device.name", "device.timezone")
def test_what_is_shown_on_a_stick_has_the_devices_name_and_time(tmp_path: Path) -> None:
    store, stick = tmp_path / "clips", tmp_path / "stick"
    stick.mkdir()
    store_moment(store, seconds=1)
    catalogue = Catalogue(store, LocalDisk())
    [moment] = catalogue.moments()
    dated = {"device": "kitchen", "start": datetime(2026, 11, 24, 20, 3, 9, tzinfo=UTC), "clock_certain": True}
    catalogue.write_info(moment.path, moment.info().model_copy(update=dated))
    (tmp_path / "settings.toml").write_text('[device]\nname = "kitchen"\ntimezone = "Asia/Tokyo"\n')
    missed_moment("export", stick, "--store", store, "--config", tmp_path / "settings.toml")
    [copy] = (stick / FOLDER).glob("*.mp4")
    assert copy.name == "2026-11-25_05-03-09_moment-000001.mp4"
    page = (stick / FOLDER / "index.html").read_text()
    assert "Moments of kitchen" in page
    assert '<div class="when">Wednesday, 25 November 2026, 05:03:09</div>' in page
    assert (stick / FOLDER / "health.txt").read_text().startswith("kitchen: ")


PINS = """[button]
pin = 5
active_low = false
switch_pin = 6
lockout_ms = 1000
[led]
pin = 13
"""


@pytest.mark.setting("button.pin", "button.active_low", "button.lockout_ms", "button.switch_pin", "led.pin")
def test_the_recorder_has_its_button_switch_and_led_where_the_settings_say(tmp_path: Path) -> None:
    """The switch is closed, the button bounces, and the LED answers; then the switch is opened."""
    touching = """
import os, signal, sys, threading
from pathlib import Path
from gpiozero.pins.mock import MockFactory, MockPWMPin
from missed_moment.control import ask
from missed_moment.places import Places
from missed_moment.services import program
from rig import wait_for

pins = MockFactory(pin_class=MockPWMPin)
directory = Path(sys.argv[1])
program.board_pins = lambda: pins

def touch():
    try:
        wait_for(lambda: (directory / "s").exists() and len(pins.pins) == 3)
        told = lambda: ask(directory / "s", "status")
        print(told()["state"])
        pins.pin(6).drive_low()
        wait_for(lambda: told()["ring"]["seconds"] >= 1)
        for level in (True, False, True, False):
            pins.pin(5).drive_high() if level else pins.pin(5).drive_low()
        wait_for(lambda: pins.pin(13).state == 1.0)
        print("the LED shines")
        wait_for(lambda: told()["store"]["moments"] == 1 and told()["state"] != "saving")
        print(told()["video"], told()["sound"])
        pins.pin(6).drive_high()
        wait_for(lambda: told()["state"] == "off")
        print("off")
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=touch).start()
program.run(Places(directory / "settings.toml", directory / "clips", directory / "s"), "synthetic")
"""
    (tmp_path / "settings.toml").write_text(QUICK + PINS + "[sound]\nenabled = false\n")
    told = python("-c", touching, tmp_path)
    assert told.stdout.splitlines() == ["off", "the LED shines", "256x144 at 30 fps off", "off"], told.stderr
    [moment] = Catalogue(tmp_path / "clips", LocalDisk()).moments()
    assert len(moment.info().presses_ns) == 1


SMALL_BOARD = """
import os, signal, sys, threading
from pathlib import Path
from missed_moment import memory
from missed_moment.checkup import checkup
from missed_moment.control import ask
from missed_moment.places import Places
from missed_moment.services import program
from rig import wait_for

memory.total_bytes = lambda: 416 * 1024 * 1024
directory, recorders = Path(sys.argv[1]), []
made = program.Recorder
program.Recorder = lambda *arguments: recorders.append(made(*arguments)) or recorders[0]

def look():
    try:
        wait_for(lambda: (directory / "s").exists())
        wait_for(lambda: ask(directory / "s", "status")["ring"]["seconds"] >= 1)
        told = ask(directory / "s", "status")
        print(*(line.split(": ")[-1] for line in told["faults"]["settings"].splitlines() if "MB of memory" in line))
        print(recorders[0].settings.moment.before_s, recorders[0].ring._max_bytes < 115e6)
        print(recorders[0]._backlog_limit_ns < 1.6 * 1e9 * (recorders[0].settings.moment.before_s + 10))
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

print(next(iter(checkup([], directory / "settings.toml", directory / "clips"))).good)
threading.Thread(target=look).start()
program.run(Places(directory / "settings.toml", directory / "clips", directory / "s"), "synthetic")
"""


@pytest.mark.setting("moment.before_s", "video.bitrate_mbps")
def test_a_small_board_films_with_what_fits_and_reports_the_rest(tmp_path: Path) -> None:
    """Settings that ask a board of 416 MB for 2.5 GB."""
    (tmp_path / "settings.toml").write_text(
        "[video]\nwidth = 256\nheight = 144\nbitrate_mbps = 25\n[moment]\nbefore_s = 300\n[sound]\nenabled = false\n"
    )
    told = python("-c", SMALL_BOARD, tmp_path)
    assert told.stdout.splitlines() == [
        "False",
        "before_s = 60 and bitrate_mbps = 7.9 are used",
        "60 True",
        "True",
    ], told.stderr
