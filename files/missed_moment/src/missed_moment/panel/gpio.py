"""The panel on the board's header, through gpiozero: a button, an optional switch, an LED."""

import errno
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from gpiozero import PWMLED, InputDevice
from gpiozero.pins import Factory

from missed_moment import clock
from missed_moment.clock import NS
from missed_moment.config import ButtonSettings, LedSettings
from missed_moment.errors import PanelError
from missed_moment.panel.touch import Touch, TouchGrammar

_DIM_HZ = 100
_LOOK_S = 0.25
"""Seconds between two readings of the pins: an edge that the kernel lost is made good so late."""
_MODEL = Path("/proc/device-tree/model")


def board_pins(model: Path = _MODEL) -> Factory:
    """Return the pins of the board's header, through lgpio and nothing else.

    gpiozero by itself would go on in silence with libraries that lose edges or need other rights. Raises PanelError
    if lgpio is missing (ENODEV as errno on a computer that is no Raspberry Pi and so has no header), and whatever
    lgpio raises if there is no gpiochip.
    """
    try:
        from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 - on a Raspberry Pi only
    except ImportError as error:
        raise PanelError(
            errno.EIO if _is_raspberry_pi(model) else errno.ENODEV,
            f"lgpio cannot be imported: {error}; run `sudo apt install python3-lgpio`",
        ) from error
    return LGPIOFactory()


def _is_raspberry_pi(model: Path) -> bool:
    try:
        return model.read_bytes().startswith(b"Raspberry Pi")
    except OSError:
        return False


class GpioPanel:
    """Reads the button and the switch, and is a lamp. Touches are reported from a thread of its own."""

    def __init__(
        self,
        factory: Factory,
        button: ButtonSettings,
        led: LedSettings,
        on_touch: Callable[[Touch], None],
        on_switch: Callable[[bool], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Claim the pins, and take over the factory; `on_switch(closed)` gets the switch's position first, and changes.

        Raises what gpiozero and lgpio raise, and then holds nothing. `on_failed` gets what they raise later, when a
        pin is read; nothing is reported after that.
        """
        self._grammar = TouchGrammar(button.lockout_ms)
        self._active_low = button.active_low
        self._on_touch = on_touch
        self._on_failed = on_failed
        self._on_switch = on_switch
        self._edges: SimpleQueue[tuple[int, bool] | Literal["look", "end"]] = SimpleQueue()
        self._switch: InputDevice | None = None
        self._closed: bool | None = None  # the switch, as it was reported last
        with ExitStack() as claimed:
            claimed.callback(factory.close)
            self._led = PWMLED(led.pin, frequency=None, pin_factory=factory)
            claimed.callback(self._led.close)
            if button.switch_pin is not None:
                self._switch = InputDevice(button.switch_pin, pull_up=True, pin_factory=factory)
                claimed.callback(self._switch.close)
                self._switch.pin.when_changed = self._switch_changed
            self._button = InputDevice(button.pin, pull_up=button.active_low, pin_factory=factory)
            claimed.callback(self._button.close)
            # The pin's edges, not gpiozero's events: those are compared with the state that the last edge left, so that
            # a press after a lost release is none. gpiozero keeps a weak reference to this method.
            self._button.pin.when_changed = self._changed
            self._claimed = claimed.pop_all()
        self._edges.put("look")
        self._thread = threading.Thread(target=self._listen, name="button", daemon=True)
        self._thread.start()

    def shine(self, level: float) -> None:
        """Shine at `level`, from 0 (dark) to 1."""
        # Only what is dimmed: lgpio's thread that switches it loses a blink where it is late, and never rests.
        self._led.frequency = _DIM_HZ if 0 < level < 1 else None
        self._led.value = level

    def close(self) -> None:
        """Stop listening and release the pins."""
        try:
            self._button.pin.when_changed = None
            self._button.close()
        finally:
            self._edges.put("end")
            self._thread.join()
            self._claimed.close()

    def _changed(self, _: float, state: float) -> None:
        """Take an edge of the button, in a thread of lgpio's."""
        self._edges.put((clock.monotonic_ns(), bool(state) is not self._active_low))

    def _switch_changed(self, _: float, __: float) -> None:
        """Take an edge of the switch, in a thread of lgpio's: it says that the switch has to be read, not how it is."""
        self._edges.put("look")

    def _listen(self) -> None:
        while (edge := self._next()) != "end":
            if isinstance(edge, tuple):
                touches = self._grammar.edge(*edge)
            else:
                try:
                    pressed = bool(self._button.is_active)
                    closed = None if self._switch is None else bool(self._switch.is_active)
                except Exception as error:  # noqa: BLE001 - gpiozero and lgpio raise classes of their own
                    self._on_failed(error)
                    return
                touches = self._grammar.tick(clock.monotonic_ns(), pressed)
                if closed is not None and closed is not self._closed:
                    self._closed = closed
                    self._on_switch(closed)
            for touch in touches:
                self._on_touch(touch)

    def _next(self) -> tuple[int, bool] | Literal["look", "end"]:
        """Wait for an edge, or until the pins have to be read."""
        deadline_ns = self._grammar.deadline_ns()
        due_s = _LOOK_S if deadline_ns is None else max(0.0, (deadline_ns - clock.monotonic_ns()) / NS)
        try:
            return self._edges.get(timeout=min(_LOOK_S, due_s))
        except Empty:
            return "look"
