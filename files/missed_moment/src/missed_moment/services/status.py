"""What the recorder tells of itself: the schema of `missed-moment status --json`."""

import platform
from importlib import metadata
from typing import Literal

from pydantic import BaseModel, ConfigDict

from missed_moment import __version__


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class RingStatus(_Part):
    """The last minute: seconds of video, bytes of payload, pictures."""

    seconds: float
    bytes: int
    pictures: int


class FrameStatus(_Part):
    """Pictures since the start: seen, missing between those seen, and seen but of no use without a keyframe."""

    seen: int
    lost: int
    unusable: int


class StoreStatus(_Part):
    """Moments on the device, those that no stick has yet, and bytes that are free."""

    moments: int = 0
    not_exported: int = 0
    free_bytes: int = 0


class Status(_Part):
    """The whole. `led` names what the LED shows; `sound` is silent where no microphone delivers any.

    `faults` maps the name of each fault to its message.
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
    faults: dict[str, str]
    versions: dict[str, str]


def versions() -> dict[str, str]:
    """What runs here."""
    return {"missed-moment": __version__, "python": platform.python_version(), "pyav": metadata.version("av")}
