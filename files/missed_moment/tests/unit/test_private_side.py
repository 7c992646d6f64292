"""No slip in the settings switches on a microphone or a camera that the owner has switched off."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from missed_moment.board import Board
from missed_moment.config import Loaded, Settings, load, parse
from missed_moment.durable import LocalDisk
from missed_moment.health import Fault
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.services.recorder import Recorder
from rig import SMALL, film

OFF = "[video]\nwidth = 640\n[sound]\nenabled = false\n[moment]\nbefore_s = 30\n"
SWITCH = "[video]\nwidth = 640\n[button]\nswitch_pin = 22\n[moment]\nbefore_s = 30\n"

SLIPS = {
    "decimal comma": "[video]\nbitrate_mbps = 4,5\n",
    "True": "[network]\nenabled = True\n",
    "curly quotes": "[device]\nname = \u201ckitchen\u201d\n",
    "German quotes": "[device]\nname = \u201ekitchen\u201c\n",
    "no quotes": "[device]\nname = kitchen\n",
    "a key that is set twice": "[store]\nkeep_exported_days = 3\nkeep_exported_days = 4\n",
    "no equals sign": "[led]\npin 5\n",
    "a header that is cut off": "[led\npin = 5\n",
    "a header with curly quotes": "\u201cled\u201d]\npin = 5\n",
    "a list that never ends": "[stick]\nfilesystems = [\n  'vfat',\n",
    "a string that never ends": '[device]\nname = "kitchen\n',
    "a list of tables": "[[led]]\npin = 5\n",
    "words": "please be quiet\n",
    "words that sound like the switch": "this camera films with less memory\n",
    "a name that sounds like the switch": "[device]\nname = cat with a hat\n",
    "rich text": "{\\rtf1\\ansi\n",
}


def with_slip(text: str, slip: str, first: bool) -> str:
    return f"{slip}{text}" if first else f"{text}{slip}"


def with_and_without_slip(text: str, slip: str) -> tuple[str, str, str]:
    return text, with_slip(text, slip, first=False), with_slip(text, slip, first=True)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("slip", SLIPS)
def test_every_readable_line_stays_in_force(slip: str, first: bool) -> None:
    for text in (OFF, SWITCH):
        loaded = parse(with_slip(text, SLIPS[slip], first))
        assert loaded.settings.video.width == 640
        assert loaded.settings.moment.before_s == 30
        assert loaded.problems
        assert all("line " in problem for problem in loaded.problems), loaded.problems
    assert not parse(with_slip(OFF, SLIPS[slip], first)).settings.sound.enabled
    assert parse(with_slip(SWITCH, SLIPS[slip], first)).settings.button.switch_pin == 22


@pytest.mark.parametrize(
    ("slip", "remedy"),
    [
        (
            "[video]\nbitrate_mbps = 4,5",
            "line 2: bitrate_mbps = 4,5 is not TOML; write a point instead of the comma: 4.5",
        ),
        ("[sound]\nenabled = False", "line 2: enabled = False is not TOML; write true or false, in small letters"),
        ("[sound]\nenabled = no", "in small letters"),
        ("[device]\nname = \u201cx\u201d", 'use straight quotes (")'),
        ("[device]\nname = kitchen", "write text in straight quotes"),
        ("[led]\npin 5", "write a key and its value"),
        ("[led\npin = 5", "line 1: [led is not TOML; write the name of a table in brackets"),
        ("[[led]]\npin = 5", "line 1: [[led]] is a list of tables; write one pair of brackets: [led]"),
        ("[led]\npin = 5\npin = 6", "line 3: [led] pin is also set in line 2"),
        ("[led]\npin = 5\n[led]\n", "line 3: [led] also stands in line 1; join the two tables"),
        ("[vidoe]\nwidth = 640", "line 1: [vidoe] is not a setting; "),
        ("[vidoe]\nwidth = 640", "(the nearest is video)"),
        ("[video]\nwidht = 640", "(the nearest is width)"),
        ("led = 5\n[led]\npin = 5", "line 2: [led] was given a value in line 1"),
    ],
)
def test_a_message_has_the_line_and_the_remedy(slip: str, remedy: str) -> None:
    assert any(remedy in problem for problem in parse(slip).problems), parse(slip).problems


@pytest.mark.parametrize(
    "text",
    [
        "[sound]\nenabled = False\n",
        "[sound]\nenabled = off\n",
        "[sound]\nenabled = 0\n",
        '[sound]\nenabled = "false"\n',
        "[sound]\nenabled false\n",
        "[sound]\nenabled = \u201cfalse\u201d\n",
        "[sound]\nEnabled = false\n",
        "[sound]\nenabeld = false\n",
        "[sound]\nenabled = true\nenabled = false\n",
        "[sound]\nenabled = true\n[sound]\nenabled = false\n",
        "[Sound]\nenabled = false\n",
        "[SOUND]\nenabled = false\n",
        "[suond]\nenabled = false\n",
        "[microphone]\nenabled = false\n",
        "[sound\nenabled = false\n",
        "sound]\nenabled = false\n",
        "[\u201csound\u201d]\nenabled = false\n",
        "[[sound]]\nenabled = false\n",
        "enabled = false\n[sound]\n",
        "sound = false\n",
        "sound = {enabled = False}\n",
        "sound.enabled = False\n",
        "[sound]\ndevice = Kitchen\n",
        "[sound]\ndevice = 3\n",
        "[sound]\nenabled = true\ndevice = \u201cKitchen\u201d\n",
        "[sound]\nenabled = fal\ufffde\n",
        "[sound]\nenabled = true\nmute = true\n",
        "mic = false\n",
        "[recording]\nmic = false\n",
        "mikrofon = false\n",
    ],
)
def test_sound_that_may_be_switched_off_stays_off(text: str) -> None:
    for broken in with_and_without_slip(text, "[moment]\nbefore_s = 4,5\n"):
        loaded = parse(broken)
        assert not loaded.settings.sound.enabled
        assert not loaded.settings.sound.asked_for
        assert any("sound is off until this is corrected" in problem for problem in loaded.problems)
        assert loaded.camera_allowed or "\ufffd" in text


def test_camera_and_sound_are_off_where_either_may_be_meant() -> None:
    """Is the header of [sound] missing, or is the camera meant?"""
    loaded = parse("[video]\nwidth = 640\nenabled = false\n")
    assert not loaded.settings.sound.enabled
    assert not loaded.camera_allowed


@pytest.mark.parametrize(
    "text",
    [
        "[button]\nswitch_pin = 2 2\n",
        '[button]\nswitch_pin = "22"\n',
        "[button]\nswitch_pin = 99\n",
        "[button]\nswitch_pin = GPIO22\n",
        "[button]\nswitch_pin 22\n",
        "[button]\nswitch-pin = 22\n",
        "[button]\nSwitch_Pin = 22\n",
        "[button]\nswich_pin = 22\n",
        "[button]\nswitch = 22\n",
        "[button]\nswitch_pin = 22\nswitch_pin = 23\n",
        "[Button]\nswitch_pin = 22\n",
        "[buton]\nswitch_pin = 22\n",
        "[button\nswitch_pin = 22\n",
        "[[button]]\nswitch_pin = 22\n",
        "[switch]\npin = 22\n",
        "[camera]\nenabled = false\n",
        "[video]\nenabled = false\n",
        "[camera]\nenabled = False\n",
        "[video]\nenabled = no\n",
        "switch_pin = 22\n[button]\n",
        "button = {pin = 5, switch_pin = 22,}x\n",
        "button.switch_pin = 22,\n",
        "[led]\npin = 5\nswitch_pin = 22\n",
        "[button]\nswitch_pin = 17\n",
        "[button]\nswitch_pin = 27\n",
        "[button]\npin = 22\nswitch_pin = 22\n",
        "[led]\npin = 22\n[button]\nswitch_pin = 22\n",
        "[led]\npin = 5\n[button]\npin = 5\nswitch_pin = 17\n",
        "[button]\nswitch_pin = \x00\x00\n",
    ],
)
def test_the_camera_stays_off_if_its_switch_is_not_known(text: str) -> None:
    for broken in with_and_without_slip(text, SLIPS["decimal comma"]):
        loaded = parse(broken)
        assert not loaded.camera_allowed
        assert any("the camera is off until this is corrected" in problem for problem in loaded.problems)


@pytest.mark.parametrize(
    "text",
    [
        *SLIPS.values(),
        "[sound]\noffset_ms = 4,5\n",
        "[sound]\noffset_ms = 9999\n",
        "[sound]\nenabled = true\nvolume = 3\n",
        "[network]\nenabeld = true\n",
        "[netwrk]\nenabled = true\n",
        "[video]\nwidht = 640\n",
        "[button]\npin = 99\n",
        "[led]\npin = 17\n",
    ],
)
def test_a_slip_elsewhere_leaves_sound_and_camera_on(text: str) -> None:
    loaded = parse(text)
    assert loaded.problems
    assert loaded.settings.sound.enabled
    assert loaded.camera_allowed


def test_the_switch_is_obeyed_if_two_other_pins_clash() -> None:
    loaded = parse("[button]\npin = 5\nswitch_pin = 22\n[led]\npin = 5\n")
    assert loaded.settings.button.switch_pin == 22
    assert loaded.settings.button.pin == Settings().button.pin
    assert loaded.camera_allowed
    assert "a pin of its own" in loaded.problems[0]


TEXT = "# K\u00fcche\r\n[sound]\r\nenabled = false\r\n[button]\r\nswitch_pin = 22\r\n"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_another_encoding_is_read_and_reported(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "missed-moment.toml"
    path.write_bytes(TEXT.encode(encoding))
    loaded = load(path)
    assert not loaded.settings.sound.enabled
    assert loaded.settings.button.switch_pin == 22
    [problem] = loaded.problems
    assert "line 1: " in problem
    assert "UTF-8" in problem


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_line_ending_will_do(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "missed-moment.toml"
    path.write_bytes(TEXT.replace("\r\n", ending).encode("utf-8-sig"))
    assert load(path) == Loaded(parse(TEXT).settings)


def test_lists_over_several_lines_are_read_beside_a_slip() -> None:
    loaded = parse("[stick]\nfilesystems = [\n  'vfat',  # old\n  'ntfs',\n]\n[video]\nfps = 25,0\n")
    assert loaded.settings.stick.filesystems == ["vfat", "ntfs"]
    assert len(loaded.problems) == 1


@pytest.mark.parametrize(
    "name",
    [
        *("missed-moment.toml.txt", "missed-moment.txt", "Missed-Moment.TOML.TXT", "missed-moment.toml.rtf"),
        *("missed-moment (1).toml", "missed-moment - Copy.toml", "missed-moment 2.toml"),
    ],
)
def test_a_file_with_the_wrong_name_is_reported_and_switches_off(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(f"{OFF}[button]\nswitch_pin = 22\n")
    alone = load(tmp_path / "missed-moment.toml")
    assert not alone.settings.sound.enabled
    assert alone.settings.button.switch_pin == 22
    assert f"{name} has the wrong name; rename it to missed-moment.toml" in alone.problems[-1]
    (tmp_path / "missed-moment.toml").write_text("[moment]\nbefore_s = 20\n")
    beside = load(tmp_path / "missed-moment.toml")
    assert beside.settings.moment.before_s == 20
    assert not beside.settings.sound.enabled
    assert not beside.camera_allowed
    assert len(beside.problems) == 1


@pytest.mark.parametrize(
    "name",
    ["missed-moment.toml~", "._missed-moment.toml", ".missed-moment.toml.swp", "config.txt", "missed-moment.toml.bak"],
)
def test_what_editors_leave_is_no_settings_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(OFF)
    assert load(tmp_path / "missed-moment.toml") == Loaded()


def test_an_unmounted_boot_partition_is_not_a_missing_file(tmp_path: Path) -> None:
    path, fstab = tmp_path / "firmware" / "missed-moment.toml", tmp_path / "fstab"
    path.parent.mkdir()
    fstab.write_text(
        f"# the card\nbroken\nPARTUUID=1-01 {path.parent} vfat defaults 0 2\nPARTUUID=1-02 / ext4 ro 0 1\n"
    )
    loaded = load(path, fstab)
    assert not loaded.camera_allowed
    assert not loaded.settings.sound.enabled
    assert f"{path.parent} is not mounted" in loaded.problems[0]
    path.write_text("[moment]\nbefore_s = 20\n")  # below the mount point, as in a chroot
    assert load(path, fstab).settings.moment.before_s == 20


def test_a_mounted_or_unlisted_partition_is_read(tmp_path: Path) -> None:
    fstab = tmp_path / "fstab"
    fstab.write_text("proc /proc proc defaults 0 0\nPARTUUID=1-02 / ext4 ro 0 1\n")
    assert load(Path("/proc/missed-moment.toml"), fstab) == Loaded()
    assert load(tmp_path / "missed-moment.toml", fstab) == Loaded()
    assert load(tmp_path / "missed-moment.toml", tmp_path / "none") == Loaded()


def test_many_bad_lines_make_a_bounded_list() -> None:
    loaded = parse("a b\n" * 10_000)
    assert len(loaded.problems) == 51
    assert "9950 more" in loaded.problems[-1]


class CountedCamera:
    """A camera, and a microphone, that only count how often they are started."""

    name = "counted"

    def __init__(self) -> None:
        self.starts = 0

    def start(self, sink: Callable[[VideoPacket], None]) -> VideoFormat:
        self.starts += 1
        sink(film(1)[0])
        return SMALL

    def stop(self) -> None:
        """Nothing to stop."""


@pytest.mark.parametrize(("text", "films"), [("[button]\nswitch_pin = GPIO22", False), ("[button]\npin = 99", True)])
def test_nothing_is_started_while_the_switch_is_not_known(tmp_path: Path, text: str, films: bool) -> None:
    camera, microphone, looked = CountedCamera(), CountedCamera(), threading.Event()
    recorder = Recorder(
        parse(text), camera, microphone, tmp_path, LocalDisk(), Board(), lambda _: None, alive=looked.set
    )
    recorder.start()
    try:
        assert recorder.wait_settled(30)
        recorder.switch(True)  # no panel may overrule the settings
        looked.clear()
        assert looked.wait(30)
        assert Fault.SETTINGS in recorder.health.faults()
        assert (recorder.status().state != "off") is films
    finally:
        assert recorder.stop(30)
    assert bool(camera.starts) is films
    assert bool(microphone.starts) is films
