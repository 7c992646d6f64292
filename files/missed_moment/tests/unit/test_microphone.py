"""Sound cards that lose samples, vanish and come back; and a recorder that goes on whatever they do."""

import threading
from collections import deque
from pathlib import Path

import av
import pytest

from missed_moment import clock
from missed_moment.capture import alsa
from missed_moment.capture.alsa import PERIOD, AlsaMicrophone, cards
from missed_moment.capture.choice import choose_microphone
from missed_moment.capture.pcm_converter import PcmConverter
from missed_moment.capture.synthetic_microphone import SyntheticMicrophone
from missed_moment.clips.catalogue import Catalogue
from missed_moment.clock import NS
from missed_moment.config import SoundSettings, parse
from missed_moment.durable import LocalDisk
from missed_moment.errors import MicrophoneError
from missed_moment.health import Fault
from missed_moment.packets import SAMPLE_BYTES, SAMPLE_RATE, PcmBlock
from rig import recording, wait_for
from sound_rig import offsets_ms

PERIOD_NS = PERIOD * NS // SAMPLE_RATE


class FakeCard:
    """Delivers what it is given, then is gone. `script` holds when each period began, None for an overrun."""

    def __init__(self, script: list[int | None]) -> None:
        self._script = deque(script)
        self.closed = threading.Event()

    def read(self) -> tuple[bytes, int]:
        if not self._script:
            raise MicrophoneError("gone")
        at_ns = self._script.popleft()
        return (b"", 0) if at_ns is None else (bytes(PERIOD * SAMPLE_BYTES), at_ns)

    def close(self) -> None:
        self.closed.set()


def listen(*script: int | None) -> list[PcmBlock]:
    card, blocks = FakeCard(list(script)), []
    microphone = AlsaMicrophone(None, lambda _: card, lambda: ["Webcam"])
    microphone.start(blocks.append)
    assert card.closed.wait(5)
    microphone.stop()
    return blocks


def test_samples_are_counted_from_the_start_of_the_card() -> None:
    blocks = listen(7 * NS, 7 * NS + PERIOD_NS, 7 * NS + 2 * PERIOD_NS)
    assert [block.first_sample for block in blocks] == [0, PERIOD, 2 * PERIOD]
    assert [block.pts_ns for block in blocks] == [7 * NS + n * PERIOD_NS for n in range(3)]


@pytest.mark.parametrize(
    ("told_ns", "waiting", "ended_ns"),
    [
        (99 * NS, SAMPLE_RATE // 2, 98.5 * NS),  # half a second of sound waits behind these
        (10**22, 0, 100 * NS),  # in a million years
        (0, 0, 100 * NS),  # it does not say
        (99 * NS, 2**40, 100 * NS),  # more waits than the card can hold
        (99 * NS, -32, 100 * NS),
    ],
)
def test_a_card_is_believed_what_can_be(told_ns: int, waiting: int, ended_ns: int) -> None:
    assert alsa.captured_ns(PERIOD, told_ns, waiting, now_ns=100 * NS) == ended_ns - PERIOD_NS


def test_a_card_whose_buffer_runs_over_after_a_read_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`htimestamp` fails then, as snd_pcm_htimestamp returns EPIPE; the period that was read is good."""

    class Error(Exception):
        pass

    class Pcm:
        def read(self) -> tuple[int, bytes]:
            return PERIOD, bytes(PERIOD * SAMPLE_BYTES)

        def htimestamp(self) -> tuple[int, int, int]:
            raise Error("Broken pipe")

    card = object.__new__(alsa.AlsaCard)
    card._error, card._name, card._pcm = Error, "Webcam", Pcm()
    card._rate, card._channels, card._converter = SAMPLE_RATE, 1, PcmConverter(SAMPLE_RATE, 1)
    monkeypatch.setattr(clock, "monotonic_ns", lambda: 100 * NS)
    assert card.read() == (bytes(PERIOD * SAMPLE_BYTES), 100 * NS - PERIOD_NS)


def test_after_an_overrun_they_are_counted_anew(caplog: pytest.LogCaptureFixture) -> None:
    blocks = listen(7 * NS, None, 9 * NS, 9 * NS + PERIOD_NS)
    assert [block.first_sample for block in blocks] == [0, 0, PERIOD]
    assert "lost 2.0 s of sound" in caplog.text


def test_a_block_that_is_told_late_is_no_gap() -> None:
    assert [block.first_sample for block in listen(7 * NS, 7 * NS + 5 * PERIOD_NS)] == [0, PERIOD]


@pytest.mark.setting("sound.device")
@pytest.mark.parametrize(("wanted", "opened"), [(None, "Webcam"), ("Snowball", "Snowball")])
def test_a_card_is_chosen_by_its_name_or_is_the_first(wanted: str | None, opened: str) -> None:
    asked: list[str] = []

    def open_card(name: str) -> FakeCard:
        asked.append(name)
        return FakeCard([])

    microphone = AlsaMicrophone(wanted, open_card, lambda: ["Webcam", "Snowball"])
    microphone.start(lambda _: None)
    microphone.stop()
    assert asked == [opened]


@pytest.mark.parametrize(
    ("wanted", "there", "words"),
    [(None, [], "plug one in"), ("Snowball", ["Webcam", "Other"], "device may be Webcam or Other")],
)
def test_a_missing_card_is_said(wanted: str | None, there: list[str], words: str) -> None:
    with pytest.raises(MicrophoneError, match=words):
        AlsaMicrophone(wanted, lambda _: FakeCard([]), lambda: there).start(lambda _: None)


def test_cards_that_record_are_found_in_sysfs(tmp_path: Path) -> None:
    for number, name in enumerate(["vc4hdmi", "Webcam", "Snowball"]):
        (tmp_path / f"card{number}").mkdir()
        (tmp_path / f"card{number}" / "id").write_text(name + "\n")
    for device in ("pcmC0D0p", "pcmC2D0c", "pcmC2D0p", "pcmC1D0c", "pcmC1D1c", "timer"):
        (tmp_path / device).touch()
    assert cards(tmp_path) == ["Webcam", "Snowball"]
    assert cards(tmp_path / "nothing") == []


def test_a_card_that_vanishes_is_passed_over_and_a_card_may_record_with_another_device_than_its_first(
    tmp_path: Path,
) -> None:
    (tmp_path / "card1").mkdir()
    (tmp_path / "card1" / "id").write_text("Webcam\n")
    for device in ("pcmC0D0c", "pcmC1D0p", "pcmC1D3c", "pcmC1D2c"):
        (tmp_path / device).touch()
    assert alsa.devices(tmp_path) == {"Webcam": 2}


@pytest.mark.parametrize(("wanted", "opened"), [(None, ["Webcam", "Snowball"]), ("Webcam", ["Webcam"])])
def test_a_card_that_cannot_be_opened_leaves_the_turn_to_the_next(wanted: str | None, opened: list[str]) -> None:
    asked: list[str] = []

    def open_card(name: str) -> FakeCard:
        asked.append(name)
        raise MicrophoneError(f"{name} is in use")

    with pytest.raises(MicrophoneError, match="; ".join(f"{name} is in use" for name in opened)):
        AlsaMicrophone(wanted, open_card, lambda: ["Webcam", "Snowball"]).start(lambda _: None)
    assert asked == opened


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "alsaaudio", None)
    with pytest.raises(MicrophoneError, match="apt install python3-alsaaudio"):
        alsa.AlsaCard("Webcam")


@pytest.mark.setting("sound.device")
def test_which_microphone_there_is() -> None:
    assert choose_microphone("auto", SoundSettings(enabled=False)) is None
    assert isinstance(choose_microphone("synthetic", SoundSettings()), SyntheticMicrophone)
    assert choose_microphone("auto", SoundSettings(device="Snowball")).name == "the microphone Snowball"


def test_sound_is_asked_for_by_who_writes_so() -> None:
    assert not parse("").settings.sound.asked_for
    assert not parse("[sound]\noffset_ms = 20\n").settings.sound.asked_for
    assert not parse("[sound]\nenabled = false\n").settings.sound.asked_for
    assert parse("[sound]\nenabled = true\n").settings.sound.asked_for
    assert parse('[sound]\ndevice = "Snowball"\n').settings.sound.asked_for


class Pluggable(SyntheticMicrophone):
    """A synthetic microphone that can be pulled out."""

    def __init__(self, plugged: bool = True) -> None:
        super().__init__(ppm=150)
        self.plugged = plugged

    def start(self, sink) -> None:
        if not self.plugged:
            raise MicrophoneError("there is no microphone")
        super().start(sink)

    def pull(self) -> None:
        self.plugged = False
        self._worker._ending.set()


def clip_in(store: Path) -> Path:
    [moment] = Catalogue(store, LocalDisk()).moments()
    return moment.clip


def test_a_moment_has_its_sound(tmp_path: Path) -> None:
    with recording(tmp_path, microphone=SyntheticMicrophone(ppm=-180), before_s=4) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 6)
        assert recorder.status().sound == "on"
        recorder.press()
        assert recorder.wait_saved(20)
    offsets = offsets_ms(clip_in(tmp_path))
    assert len(offsets) >= 3
    assert max(map(abs, offsets)) < 20
    [moment] = Catalogue(tmp_path, LocalDisk()).moments()
    assert moment.info().sound.gaps == ()


@pytest.mark.setting("sound.enabled")
@pytest.mark.parametrize("enabled", [True, False])
def test_sound_is_recorded_where_it_is_wanted(tmp_path: Path, enabled: bool) -> None:
    written = f"[sound]\nenabled = {enabled}\n".lower()
    microphone = choose_microphone("synthetic", parse(written).settings.sound)
    with recording(tmp_path, microphone=microphone, written=written) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 2)
        recorder.press()
        assert recorder.wait_saved(20)
        assert recorder.health.faults() == {}
    with av.open(str(clip_in(tmp_path))) as container:
        assert bool(container.streams.audio) == enabled


@pytest.mark.setting("sound.offset_ms")
@pytest.mark.parametrize("offset_ms", [250, -250])
def test_sound_is_played_later_by_what_the_settings_say(tmp_path: Path, offset_ms: int) -> None:
    written = f"[sound]\noffset_ms = {offset_ms}\n"
    with recording(tmp_path, microphone=SyntheticMicrophone(), written=written, before_s=4) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 6)
        recorder.press()
        assert recorder.wait_saved(20)
    offsets = offsets_ms(clip_in(tmp_path))
    assert len(offsets) >= 3
    assert offsets == pytest.approx([offset_ms] * len(offsets), abs=20)
    [moment] = Catalogue(tmp_path, LocalDisk()).moments()
    assert [gap for gap in moment.info().sound.gaps if gap.at_s > 1] == []  # also what is played earlier is there


def test_sound_comes_back_with_the_microphone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("missed_moment.services.keeper.SILENCE_NS", NS // 4)
    monkeypatch.setattr("missed_moment.services.keeper._BACK_OFF_S", (0.1,))
    microphone = Pluggable()
    with recording(tmp_path, microphone=microphone, before_s=5) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 2)
        microphone.pull()
        pulled_ns = clock.monotonic_ns()
        wait_for(lambda: Fault.MICROPHONE in recorder.health.faults())
        assert recorder.status().sound == "silent"
        wait_for(lambda: clock.monotonic_ns() - pulled_ns > NS)
        microphone.plugged = True
        wait_for(lambda: not recorder.health.faults())
        back_ns = clock.monotonic_ns()
        wait_for(lambda: clock.monotonic_ns() - back_ns > 3 * NS // 2)
        recorder.press()
        assert recorder.wait_saved(20)
    offsets = offsets_ms(clip_in(tmp_path))
    assert len(offsets) >= 2
    assert max(map(abs, offsets)) < 20
    [moment] = Catalogue(tmp_path, LocalDisk()).moments()
    # The camera may have been there a little before the microphone: that is no gap that anybody made.
    [gap] = [gap for gap in moment.info().sound.gaps if gap.length_s > 0.2]
    assert gap.length_s == pytest.approx((back_ns - pulled_ns) / NS, abs=0.4)


@pytest.mark.parametrize("settings", ["", "[sound]\nenabled = true\n"])
def test_without_a_microphone_there_is_no_sound_track(settings: str, tmp_path: Path) -> None:
    with recording(tmp_path, microphone=Pluggable(plugged=False), written=settings) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 1)
        assert (Fault.MICROPHONE in recorder.health.faults()) == bool(settings)
        recorder.press()
        assert recorder.wait_saved(20)
    with av.open(str(clip_in(tmp_path))) as container:
        assert not container.streams.audio


def test_the_switch_turns_the_microphone_off_and_forgets(tmp_path: Path) -> None:
    with recording(tmp_path, microphone=SyntheticMicrophone()) as recorder:
        wait_for(lambda: len(recorder.ring._pcm) > 20)
        recorder.switch(False)
        wait_for(lambda: not recorder._listening._source._microphone._worker.runs)
        wait_for(lambda: not recorder.ring._pcm)
        assert recorder.status().sound == "off"
        recorder.switch(True)
        wait_for(lambda: recorder.status().sound == "on")


def test_a_press_right_after_forgetting_has_sound(tmp_path: Path) -> None:
    with recording(tmp_path, microphone=SyntheticMicrophone(), after_s=3) as recorder:
        wait_for(lambda: recorder.ring.state().seconds >= 1)
        recorder.forget()
        recorder.press()
        assert recorder.wait_saved(20)
    assert len(offsets_ms(clip_in(tmp_path))) >= 1
