"""What the recorder tells of itself: the schema of `missed-moment status --json`."""

import platform
from datetime import datetime
from importlib import metadata
from typing import Literal

from pydantic import BaseModel, ConfigDict

from missed_moment import __version__
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
    the start, `restarts` what had to be started again. `throttled` holds the firmware's bits (see `board`).
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
    throttled: int | None
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """What runs here."""
    return {"missed-moment": __version__, "python": platform.python_version(), "pyav": metadata.version("av")}
