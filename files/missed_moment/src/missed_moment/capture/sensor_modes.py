"""The mode that a board camera's sensor runs in: how much of the scene it sees, and at which rate.

A sensor reads out all of its pixels, joins neighbours (binning), or reads only the middle. picamera2 takes the mode
whose size and shape are closest to the frame's, whatever it sees: at 1280x720 that is the middle 44 % of a Camera
Module 3, at 1920x1080 the middle 41 % of a Camera Module 1.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

_FPS_TOLERANCE = 0.995
"""Frame rates of sensor modes are rounded, and some miss 30 by a few thousandths."""
_SAME_VIEW = 0.95
"""Views that differ by less than this share of their area count as the same: the smaller mode saves power."""
_ENLARGED = 1.5
"""By this factor a mode may be enlarged to see more; beyond that, frames look soft."""


class SensorMode(NamedTuple):
    """A mode: size of what the sensor sends, bits a pixel, fastest rate, and the pixels it looks at (width, height)."""

    size: tuple[int, int]
    bit_depth: int
    fps: float
    crop: tuple[int, int]


def choose_mode(
    modes: Sequence[SensorMode], size: tuple[int, int], fps: float, view: Literal["full", "crop"]
) -> SensorMode | None:
    """Choose the mode for frames of `size` at `fps`; None leaves the choice to picamera2.

    "full" sees the most; of modes that see the same, it takes the smallest that need not be enlarged. "crop" is
    picamera2's choice.
    """
    if view == "crop":
        return None
    usable = [mode for mode in modes if mode.fps >= fps * _FPS_TOLERANCE and _enlarged(mode, size) <= _ENLARGED]
    if not usable:
        return None
    most = max(_seen(mode, size) for mode in usable)
    widest = [mode for mode in usable if _seen(mode, size) >= most * _SAME_VIEW]
    return min(widest, key=lambda mode: (_enlarged(mode, size) > 1, _pixels(mode, size), -mode.bit_depth))


def _seen(mode: SensorMode, size: tuple[int, int]) -> float:
    """Return the area, in pixels of the sensor, that a frame of that shape shows."""
    return _fitted(mode.crop, size)[0] * _fitted(mode.crop, size)[1]


def _enlarged(mode: SensorMode, size: tuple[int, int]) -> float:
    return size[0] / _fitted(mode.size, size)[0]


def _pixels(mode: SensorMode, size: tuple[int, int]) -> int:
    """Return the mode's pixels; of modes that must be enlarged, the largest comes first."""
    pixels = mode.size[0] * mode.size[1]
    return -pixels if _enlarged(mode, size) > 1 else pixels


def _fitted(outer: tuple[int, int], shape: tuple[int, int]) -> tuple[float, float]:
    """Return the largest rectangle of that shape inside of `outer`."""
    scale = min(outer[0] / shape[0], outer[1] / shape[1])
    return shape[0] * scale, shape[1] * scale
