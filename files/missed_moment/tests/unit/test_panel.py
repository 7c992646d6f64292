"""LED language, lamp and the board's panel (on gpiozero's mock pins)."""

import errno
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from gpiozero.exc import GPIOZeroError
from gpiozero.pins.mock import MockFactory, MockPWMPin

from missed_moment.clock import NS
from missed_moment.config import ButtonSettings, LedSettings
from missed_moment.errors import PanelError
from missed_moment.health import Fault
from missed_moment.panel import language
from missed_moment.panel import retried as retrying
from missed_moment.panel import touch as touching
from missed_moment.panel.gpio import GpioPanel, board_pins
from missed_moment.panel.lamp import BoardLamp, Signaller
from missed_moment.panel.language import Situation, Stick, choose
from missed_moment.panel.retried import RetriedPanel
from missed_moment.panel.touch import Hold, Press, Release, Touch
from rig import wait_for


class Recorded:
    """A lamp that remembers."""

    def __init__(self) -> None:
        self.levels: list[tuple[float, float]] = []
        self.lit = threading.Event()

    def shine(self, level: float) -> None:
        self.levels.append((time.monotonic(), level))
        if level == 1.0:
            self.lit.set()


@pytest.mark.parametrize(
    ("situation", "name"),
    [
        (Situation("off"), "off"),
        (Situation("filling"), "filling"),
        (Situation("recording"), "recording"),
        (Situation("recording", saving=True, faults=[Fault.STICK]), "saving"),
        (Situation("recording", stick=Stick.COPYING), "copying"),
        (Situation("recording", stick=Stick.DONE), "stick done"),
        (Situation("recording", stick=Stick.FAILED, faults=[Fault.STICK]), "fault 4"),
        (Situation("off", faults=[Fault.SETTINGS, Fault.CAMERA]), "fault 2"),
        (Situation("recording", faults=[Fault.HOT]), "fault 8"),
    ],
)
def test_the_signal_that_is_chosen(situation: Situation, name: str) -> None:
    assert choose(situation).name == name


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_blinks_its_own_number(fault: Fault) -> None:
    steps = language.FAULTS[fault].steps
    assert sum(level == 1.0 for level, _ in steps) == fault.value
    assert steps[-1][0] == 0.0
    assert steps[-1][1] > 3 * max(seconds for level, seconds in steps if level == 1.0)


STANDING = [language.OFF, language.copying(0.0), language.copying(1.0), language.STICK_DONE, *language.FAULTS.values()]
"""What is shown whether it films or not."""


def test_standing_signals_can_be_told_apart_on_a_plain_led() -> None:
    standing = [language.FILLING, language.RECORDING, *STANDING, *map(language.while_filming, STANDING[1:])]
    plain = [tuple((level >= 0.5, round(seconds, 2)) for level, seconds in signal.steps) for signal in standing]
    assert len(set(plain)) == len(plain)


@pytest.mark.parametrize("saving", [False, True])
@pytest.mark.parametrize("stick", Stick)
@pytest.mark.parametrize("faults", [(), *((fault,) for fault in Fault)])
@pytest.mark.parametrize("camera", ["filling", "recording"])
def test_no_fault_and_no_stick_hides_that_it_films(
    camera: Literal["filling", "recording"], faults: tuple[Fault, ...], stick: Stick, saving: bool
) -> None:
    filming = choose(Situation(camera, saving, stick, 0.5, faults))
    idle = choose(Situation("off", saving, stick, 0.5, faults))
    assert filming.name == idle.name or (filming.name, idle.name) == (camera, "off")
    assert saving or filming.steps != idle.steps, "nobody could see whether it films"
    assert saving or camera == filming.name == "filling" or any(seconds == 0.08 for _, seconds in filming.steps)
    assert len({level for level, _ in filming.steps}) > 1 or saving


@pytest.mark.parametrize("fault", Fault)
def test_the_blip_is_not_counted_among_the_blinks_of_a_fault(fault: Fault) -> None:
    steps = language.while_filming(language.FAULTS[fault]).steps
    lit = [seconds for level, seconds in steps if level == 1.0]
    assert lit[:-1] == [0.25] * fault.value
    assert lit[-1] < 0.25 / 3
    dark, blip, after = steps[-3:]
    assert blip == (1.0, lit[-1])
    assert min(dark[1], after[1]) >= 4 * 0.25, "it stands by itself"


@pytest.fixture
def lamp() -> Recorded:
    return Recorded()


@pytest.fixture
def signaller(lamp: Recorded) -> Iterator[Signaller]:
    signaller = Signaller([lamp])
    yield signaller
    signaller.stop()
    assert lamp.levels[-1][1] == 0.0


def test_a_press_is_acknowledged_at_once_whatever_is_being_shown(lamp: Recorded, signaller: Signaller) -> None:
    for shown in (language.OFF, language.KEPT, language.FORGOTTEN, language.FAULTS[Fault.HOT]):
        signaller.show(language.RECORDING)
        signaller.show(shown)
        wait_for(lambda: bool(lamp.levels))
        lamp.lit.clear()
        signaller.show(language.SAVING)
        assert lamp.lit.wait(0.1), f"not within 100 ms while {shown.name} was shown"


def test_what_happened_once_is_shown_once_and_then_the_standing_signal(lamp: Recorded, signaller: Signaller) -> None:
    signaller.show(language.SAVING)
    assert lamp.lit.wait(5)
    lamp.levels.clear()
    signaller.show(language.KEPT)
    wait_for(lambda: len(lamp.levels) > len(language.KEPT.steps))
    levels = [level for _, level in lamp.levels]
    assert levels[: len(language.KEPT.steps) + 1] == [*(level for level, _ in language.KEPT.steps), 1.0]


def test_a_thousand_forgets_are_shown_once_more_and_the_latest_last(lamp: Recorded, signaller: Signaller) -> None:
    for _ in range(1000):
        signaller.show(language.FORGOTTEN)
        signaller.show(language.KEPT)
    signaller.show(language.FORGOTTEN)
    assert [signal.name for signal in signaller._once][-2:] == ["kept", "forgotten"]
    assert len(signaller._once) <= 2


def test_the_boards_own_led_mirrors_and_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "brightness").write_text("0")
    BoardLamp(tmp_path).shine(0.7)
    assert (tmp_path / "brightness").read_text() == "1"
    BoardLamp(tmp_path).shine(0.2)
    assert (tmp_path / "brightness").read_text() == "0"
    BoardLamp(tmp_path / "missing").shine(1.0)


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    factory = MockFactory(pin_class=MockPWMPin)
    yield factory
    factory.reset()
    factory.close()


def failed(error: Exception) -> None:
    raise AssertionError(f"no pin fails here: {error}")


def test_the_button_reports_its_press_and_the_led_shines(factory: MockFactory) -> None:
    touches: list[Touch] = []
    panel = GpioPanel(factory, ButtonSettings(), LedSettings(), touches.append, lambda _: None, failed)
    try:
        factory.pin(17).drive_low()
        wait_for(lambda: bool(touches))
        factory.pin(17).drive_high()
        wait_for(lambda: len(touches) == 2)
        assert [type(touch) for touch in touches] == [Press, Release]
        for level in (1.0, 0.3, 0.0):
            panel.shine(level)
            assert factory.pin(27).state == level
            assert (factory.pin(27).frequency is not None) is (0 < level < 1), "pulses are for dim light alone"
    finally:
        panel.close()


class LossyPin(MockPWMPin):
    """A pin that the kernel reports no edges of while they are `lost`; it can be read all the time."""

    lost = False

    def _call_when_changed(self) -> None:
        if not self.lost:
            super()._call_when_changed()


@pytest.mark.parametrize("active_low", [True, False])
def test_a_lost_release_neither_forgets_nor_swallows_the_next_press(
    active_low: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(touching, "HOLD_NS", NS // 2)
    factory = MockFactory(pin_class=LossyPin)
    touches: list[Touch] = []
    settings = ButtonSettings(active_low=active_low)
    panel = GpioPanel(factory, settings, LedSettings(), touches.append, lambda _: None, failed)
    pin = factory.pin(17)
    press, release = (pin.drive_low, pin.drive_high) if active_low else (pin.drive_high, pin.drive_low)
    try:
        press()
        wait_for(lambda: len(touches) == 1)
        pin.lost = True
        release()
        wait_for(lambda: panel._grammar.deadline_ns() is None)  # it is known to be up
        pin.lost = False
        press()
        wait_for(lambda: len(touches) == 3)
        assert [type(touch) for touch in touches] == [Press, Release, Press]
        wait_for(lambda: len(touches) == 4)
        assert isinstance(touches[3], Hold), "this one is still down"
    finally:
        panel.close()


def test_a_pin_that_cannot_be_read_is_reported(factory: MockFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = []
    panel = GpioPanel(factory, ButtonSettings(), LedSettings(), lambda _: None, lambda _: None, errors.append)
    try:
        monkeypatch.setattr(factory.pin(17), "_get_state", lambda: int("bad handle"))
        wait_for(lambda: bool(errors))
    finally:
        panel.close()
    assert len(errors) == 1


@pytest.mark.setting("button.active_low")
@pytest.mark.parametrize("active_low", [True, False])
def test_the_button_may_connect_to_either_side(factory: MockFactory, active_low: bool) -> None:
    touches: list[Touch] = []
    panel = GpioPanel(
        factory, ButtonSettings(active_low=active_low), LedSettings(), touches.append, lambda _: None, failed
    )
    try:
        pin = factory.pin(17)
        (pin.drive_low if active_low else pin.drive_high)()
        wait_for(lambda: bool(touches))
    finally:
        panel.close()


@pytest.mark.setting("button.switch_pin")
def test_the_switch_is_told_at_start_and_when_it_moves(factory: MockFactory) -> None:
    positions: list[bool] = []
    panel = GpioPanel(factory, ButtonSettings(switch_pin=22), LedSettings(), lambda _: None, positions.append, failed)
    try:
        wait_for(lambda: positions == [False])
        factory.pin(22).drive_low()
        wait_for(lambda: positions == [False, True])
        factory.pin(22).drive_high()
        wait_for(lambda: positions == [False, True, False])
    finally:
        panel.close()


def test_the_switch_is_read_though_its_edges_are_lost() -> None:
    factory = MockFactory(pin_class=LossyPin)
    positions: list[bool] = []
    panel = GpioPanel(factory, ButtonSettings(switch_pin=22), LedSettings(), lambda _: None, positions.append, failed)
    try:
        wait_for(lambda: positions == [False])
        factory.pin(22).lost = True
        factory.pin(22).drive_low()
        wait_for(lambda: positions == [False, True])
        factory.pin(22).drive_high()
        wait_for(lambda: positions == [False, True, False])
    finally:
        panel.close()


def test_a_switch_that_moves_just_after_it_was_read_is_reported_as_it_is_now() -> None:
    class MovingPin(MockPWMPin):
        moves = 3

        def _get_state(self) -> bool:
            state = bool(self._state)
            if self is factory.pin(22) and self.when_changed is not None and self.moves:
                self.moves -= 1
                (self.drive_low if state else self.drive_high)()
            return state

    factory = MockFactory(pin_class=MovingPin)
    positions: list[bool] = []
    panel = GpioPanel(factory, ButtonSettings(switch_pin=22), LedSettings(), lambda _: None, positions.append, failed)
    try:
        wait_for(lambda: factory.pin(22).moves == 0 and positions[-1:] == [not factory.pin(22)._state], 5)
    finally:
        panel.close()


@pytest.mark.setting("button.pin", "led.pin")
def test_button_and_led_are_on_the_pins_that_the_settings_say(factory: MockFactory) -> None:
    touches: list[Touch] = []
    panel = GpioPanel(factory, ButtonSettings(pin=5), LedSettings(pin=6), touches.append, lambda _: None, failed)
    try:
        factory.pin(5).drive_low()
        wait_for(lambda: bool(touches))
        panel.shine(1.0)
        assert factory.pin(6).state == 1.0
        assert len(factory.pins) == 2
    finally:
        panel.close()


@pytest.mark.setting("button.lockout_ms")
@pytest.mark.parametrize(("lockout_ms", "presses"), [(5, 2), (1000, 1)])
def test_contacts_may_bounce_for_as_long_as_the_settings_say(
    factory: MockFactory, lockout_ms: int, presses: int
) -> None:
    touches: list[Touch] = []
    settings = ButtonSettings(lockout_ms=lockout_ms)
    panel = GpioPanel(factory, settings, LedSettings(), touches.append, lambda _: None, failed)
    try:
        for drive in (factory.pin(17).drive_low, factory.pin(17).drive_high) * 2:
            drive()
            threading.Event().wait(0.1)
        assert [type(touch) for touch in touches if isinstance(touch, Press)] == [Press] * presses
    finally:
        panel.close()


@pytest.mark.parametrize(("model", "number"), [(b"Raspberry Pi 4 Model B Rev 1.4\0", errno.EIO), (None, errno.ENODEV)])
def test_a_missing_library_is_a_fault_on_a_raspberry_pi_only(
    model: bytes | None, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    if model is not None:
        (tmp_path / "model").write_bytes(model)
    with pytest.raises(PanelError, match="apt install python3-lgpio") as missing:
        board_pins(tmp_path / "model")
    assert missing.value.errno == number


@pytest.mark.parametrize(
    "settings", [ButtonSettings(pin=27), ButtonSettings(switch_pin=27), ButtonSettings(switch_pin=17)]
)
def test_a_panel_that_cannot_be_claimed_holds_no_pin(factory: MockFactory, settings: ButtonSettings) -> None:
    with pytest.raises(GPIOZeroError) as refused:
        GpioPanel(factory, settings, LedSettings(pin=27), lambda _: None, lambda _: None, failed)
    GpioPanel(factory, ButtonSettings(), LedSettings(pin=27), lambda _: None, lambda _: None, failed).close()
    assert refused.tb is not None, "it keeps the first panel from the garbage collector, which would release the pins"


class LgpioError(Exception):
    """Like `lgpio.error`, which is no OSError."""


class Attempts:
    """Opens a panel that fails as `errors` say, one at each attempt, and then works; notes what is reported."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.levels: list[float] = []
        self.events: list[str] = []
        self.broken: Exception | None = None

    def open(self) -> "Attempts":
        if self.errors:
            raise self.errors.pop(0)
        self.events.append("open")
        return self

    def shine(self, level: float) -> None:
        if self.broken is not None:
            raise self.broken
        self.levels.append(level)

    def close(self) -> None:
        self.events.append("close")
        if self.broken is not None:
            raise self.broken

    def report(self, complaint: str | None) -> None:
        self.events.append(complaint or "works")

    def lost(self) -> None:
        self.events.append("camera off")


@contextmanager
def retried(attempts: Attempts, monkeypatch: pytest.MonkeyPatch, switch: bool = False) -> Iterator[RetriedPanel]:
    monkeypatch.setattr(retrying, "_BACK_OFF_S", (0.0,))
    panel = RetriedPanel(attempts.open, attempts.report, attempts.lost if switch else None)
    panel.start()
    try:
        yield panel
    finally:
        panel.stop()


@pytest.mark.parametrize(
    "error",
    [
        LgpioError("GPIO busy"),
        OSError(errno.EBUSY, "Device or resource busy"),
        FileNotFoundError(errno.ENOENT, "no gpiochip"),
        PanelError(errno.EIO, "lgpio cannot be imported"),
        GPIOZeroError("pin 17 is already in use"),
        KeyError("anything else"),
    ],
)
def test_a_panel_is_claimed_again_until_it_works(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(error, error)
    with retried(attempts, monkeypatch) as panel:
        wait_for(lambda: "open" in attempts.events)
        wait_for(lambda: "works" in attempts.events)
        panel.shine(1.0)
    complaint = attempts.events[0]
    assert str(error.args[-1]) in complaint
    assert "Errno" not in complaint
    assert "recording goes on" in complaint
    assert attempts.events == [complaint, complaint, "open", "works", "close"]
    assert attempts.levels == [1.0]


def test_a_panel_that_fails_later_is_claimed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts()
    with retried(attempts, monkeypatch) as panel:
        wait_for(lambda: "works" in attempts.events)
        attempts.broken = LgpioError("bad handle")
        panel.shine(1.0)
        wait_for(lambda: attempts.events.count("open") == 2)
        attempts.broken = None
        wait_for(lambda: attempts.events[-1] == "works")
        panel.shine(0.5)
    assert attempts.events[2] == "close"
    assert "bad handle" in attempts.events[3]
    assert attempts.levels == [0.5]


def test_a_switch_that_cannot_be_read_means_off(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(LgpioError("GPIO busy"))
    with retried(attempts, monkeypatch, switch=True) as panel:
        wait_for(lambda: "works" in attempts.events)
        attempts.broken = LgpioError("bad handle")
        panel.shine(1.0)
        wait_for(lambda: attempts.events.count("open") == 2)
        attempts.broken = None
    before_open = attempts.events[: attempts.events.index("open")]
    assert before_open[:2] == ["camera off", "camera off"]
    assert "camera stays off" in before_open[2]
    assert attempts.events[5:8] == ["camera off", "close", "camera off"]


def test_a_computer_without_a_header_needs_no_panel_but_for_a_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    no_header = PanelError(errno.ENODEV, "lgpio cannot be imported")
    attempts = Attempts(no_header)
    with retried(attempts, monkeypatch) as panel:
        panel._thread.join(10)
        assert attempts.events == []
    attempts = Attempts(no_header)
    with retried(attempts, monkeypatch, switch=True):
        wait_for(lambda: "works" in attempts.events)
    assert "camera stays off" in attempts.events[2]


def test_the_led_blinks_faster_the_more_is_copied() -> None:
    lengths = [sum(seconds for _, seconds in language.copying(share / 100).steps) for share in range(101)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] >= 1.9 * lengths[-1]
    assert len(set(lengths)) <= 5  # steps that a person can tell apart
