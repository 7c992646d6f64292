"""What the recorder tells of itself: the schema of `missed-moment status --json`."""

import platform
from datetime import datetime
from importlib import metadata
from typing import Literal

from pydantic import BaseModel, ConfigDict

from missed_moment import __version__, clock
from missed_moment.board import USB_HIGH_MA, Board
from missed_moment.health import Noted
from missed_moment.ladder import Restarts


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class RingStatus(_Part):
    """The last minute: seconds of video, bytes of payload, pictures."""

    seconds: float
    bytes: int
    pictures: int


class FrameStatus(_Part):
    """Pictures since the start: seen, missing between those seen, and seen but of no use without a keyframe.

    The first one came when the board was up for `first_s` seconds.
    """

    seen: int
    lost: int
    unusable: int
    first_s: float | None = None


class StoreStatus(_Part):
    """Moments on the device, those that no stick has yet, and bytes that are free."""

    moments: int = 0
    not_exported: int = 0
    free_bytes: int = 0


class PowerStatus(_Part):
    """Power, as far as the board reports it.

    `undervoltage` is whether the voltage was too low within the last five minutes. Raspberry Pi 5 only: `supply_ma` is
    the current that the power supply offers, `usb_ma` what all USB ports together may draw.
    """

    undervoltage: bool | None = None
    supply_ma: int | None = None
    usb_ma: int | None = None

    @property
    def text(self) -> str | None:
        """The same in plain words, None if the board reports nothing."""
        words = []
        if self.undervoltage is not None:
            words.append("too little voltage within the last 5 minutes" if self.undervoltage else "voltage good")
        if self.supply_ma is not None:
            words.append(f"the power supply offers {self.supply_ma / 1000:.1f} A")
        if self.usb_ma is not None:
            advice = "; with a 5 A supply they get 1600 mA" if self.usb_ma < USB_HIGH_MA else ""
            words.append(f"all USB ports together get {self.usb_ma} mA{advice}")
        return ", ".join(words) or None


class NotedFault(_Part):
    """A fault that began, or was over."""

    at: datetime
    fault: str
    message: str
    over: bool


class Status(_Part):
    """The whole.

    `led` names what the LED shows. `sound` is silent where no microphone delivers any. `copied` is the share of what a
    stick lacked that is copied. `faults` maps the name of each fault to its message; `history` is what there was since
    the start, `restarts` what had to be started again.
    """

    state: Literal["off", "filling", "recording", "saving"]
    led: str
    camera: str
    video: str
    sound: Literal["off", "silent", "on"]
    ring: RingStatus
    frames: FrameStatus
    store: StoreStatus
    stick: str
    copied: float
    faults: dict[str, str]
    history: tuple[NotedFault, ...]
    restarts: Restarts
    temperature_c: float | None
    power: PowerStatus = PowerStatus()
    versions: dict[str, str]


def noted_fault(noted: Noted) -> NotedFault:
    """Give a fault of the history its time of day."""
    at = clock.wall_time(noted.at_ns).at
    return NotedFault(at=at, fault=noted.fault.name.lower(), message=noted.message, over=noted.over)


def power_status(board: Board) -> PowerStatus:
    """Ask the board about its power."""
    supply = board.power_supply()
    return PowerStatus(
        undervoltage=board.undervoltage(),
        supply_ma=supply.max_ma if supply else None,
        usb_ma=supply.usb_ma if supply else None,
    )


def versions() -> dict[str, str]:
    """What runs here."""
    return {"missed-moment": __version__, "python": platform.python_version(), "pyav": metadata.version("av")}
