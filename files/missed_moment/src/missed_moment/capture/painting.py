"""The synthetic camera's picture: a clock for people, a number for programs, a flash for both.

All in the luma plane, a 2-D array of uint8 (rows, columns). The frame number is a row of 32 black and white
squares along the top edge, most significant bit first, followed by their complement, so that a picture that was
damaged is not taken for another number. The squares are far larger than what compression blurs.
"""

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

BLACK, GREY, WHITE = 16, 96, 235
"""Luma levels of BT.601/709 "limited range" video."""

_BITS = 32
_NUMBER_BITS = 2 * _BITS
# Which of the seven segments (A to G, from the top, clockwise, the middle one last) a character lights.
_SEGMENTS = {
    "0": "ABCDEF", "1": "BC", "2": "ABGED", "3": "ABGCD", "4": "FGBC",
    "5": "AFGCD", "6": "AFGECD", "7": "ABC", "8": "ABCDEFG", "9": "GFABCD",
}  # fmt: skip


def burn_number(luma: Luma, number: int) -> None:
    """Draw `number` (modulo 2**32) along the top edge, so that `read_number` can read it back."""
    side = _square(luma)
    value = number % 2**_BITS
    bits = [value >> shift & 1 for shift in range(_BITS - 1, -1, -1)]
    row = np.where(np.array(bits + [1 - bit for bit in bits], dtype=bool), WHITE, BLACK).astype(np.uint8)
    luma[:side, : side * _NUMBER_BITS] = np.repeat(row, side)


def read_number(luma: Luma) -> int | None:
    """Return the number that `burn_number` drew; None where there is none or it is damaged."""
    side = _square(luma)
    centres = luma[side // 2, side // 2 : side * _NUMBER_BITS : side]
    bits = centres > (BLACK + WHITE) // 2
    number, complement = bits[:_BITS], bits[_BITS:]
    if len(bits) != _NUMBER_BITS or np.any(number == complement):
        return None
    return int("".join("1" if bit else "0" for bit in number), 2)


def draw_text(luma: Luma, text: str, top: int, left: int, height: int) -> None:
    """Write digits, `:` and `.` in seven segments, `height` pixels high."""
    stroke, width = max(2, height // 8), height // 2
    for character in text:
        if character in ":.":
            marks = (height // 3, 2 * height // 3) if character == ":" else (height - stroke,)
            for mark in marks:
                luma[top + mark : top + mark + stroke, left : left + stroke] = WHITE
            left += 3 * stroke
            continue
        for segment in _SEGMENTS.get(character, ""):
            rows, columns = _strip(segment, stroke, width, height)
            luma[top + rows.start : top + rows.stop, left + columns.start : left + columns.stop] = WHITE
        left += width + 2 * stroke


def draw_dial(luma: Luma, turn: float, centre: tuple[int, int], radius: int) -> None:
    """Draw a hand that goes round: `turn` in turns, clockwise from the top; `centre` in (row, column)."""
    steps = np.linspace(0, radius, 2 * radius)
    rows = (centre[0] - steps * np.cos(2 * np.pi * turn)).astype(int)
    columns = (centre[1] + steps * np.sin(2 * np.pi * turn)).astype(int)
    thick = max(1, radius // 30)
    for row, column in zip(rows, columns, strict=True):
        luma[row - thick : row + thick, column - thick : column + thick] = WHITE


def _square(luma: Luma) -> int:
    """Side of one square of the number, in pixels."""
    return max(2, int(luma.shape[1]) // _NUMBER_BITS)


def _strip(segment: str, stroke: int, width: int, height: int) -> tuple[slice, slice]:
    middle = height // 2
    across = slice(0, width)
    return {
        "A": (slice(0, stroke), across),
        "B": (slice(0, middle), slice(width - stroke, width)),
        "C": (slice(middle, height), slice(width - stroke, width)),
        "D": (slice(height - stroke, height), across),
        "E": (slice(middle, height), slice(0, stroke)),
        "F": (slice(0, middle), slice(0, stroke)),
        "G": (slice(middle - stroke // 2, middle + stroke - stroke // 2), across),
    }[segment]
