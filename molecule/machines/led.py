"""Reading the LED, as a person would who knows the card: from when it was lit to what it said.

Each stretch of light or darkness becomes a letter for how long it was, and what the LED says is a pattern of
letters. They are written from the card and not from the program that shines: a slip there cannot excuse itself
here. An emulated processor is late at times: what it shows is never shorter than it should be, but often longer. So
one short stretch among blinks tells that they are quick, and a long one tells nothing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

Edge = tuple[float, bool]
"""A time in seconds, and whether the LED is lit from then on."""

_QUICK_S = 0.185
_BLINK_S = 0.6
_LONG_BLINK_S = 1.8
_LIT = ((0.05, "f"), (_QUICK_S, "q"), (_BLINK_S, "b"), (_LONG_BLINK_S, "l"), (float("inf"), "L"))
"""Light up to so many seconds: flicker, a quick blink, a blink, a long blink, a light."""
_DARK = ((0.05, "f"), (_QUICK_S, "."), (0.5, ","), (0.8, ";"), (4.0, "_"), (float("inf"), "O"))
"""Darkness up to so many seconds; flicker of both kinds is dim light."""

# What follows upon light runs together with it, so that the first of some blinks may seem long: then the light
# was there before. The first pattern that fits is it.
_CARD = re.compile(
    r"""
    (?P<filling>   f ([fqb.,;]* f){3,} )
    | (?P<forgotten> [lL] [,;] l (?= [;_O] ) )
    | (?P<blinks>    [qblL] ([.,] [qb])+ (?= (?P<after> . )? ) )
    | (?P<recording> [qb] (?= _ ) )
    | (?P<solid>     [lL] )
    | (?P<off>       O )
    """,
    re.VERBOSE,
)
_LIGHT_BEFORE_S = {"forgotten": _LONG_BLINK_S, "kept": _QUICK_S, "copying": _BLINK_S, "fault": _BLINK_S}
"""A first blink that is longer than this began as a light that says something by itself: solid."""


@dataclass(frozen=True)
class Said:
    """What the LED said from `start_s` on: the card's word, with the number of blinks where it is a fault."""

    name: str
    start_s: float


def read(edges: Iterable[Edge], until_s: float) -> list[Said]:
    """Return what the LED said between the first of `edges` and `until_s`, in order, each thing once in a row."""
    changes = [next(same) for _, same in groupby(edges, key=lambda edge: edge[1])]
    runs = [(start_s, end_s - start_s, lit) for (start_s, lit), (end_s, _) in pairwise([*changes, (until_s, False)])]
    said = list(_words(runs))
    return [next(same) for _, same in groupby(said, key=lambda word: word.name)]


def _words(runs: list[tuple[float, float, bool]]) -> Iterator[Said]:
    letters = "".join(_letter(length_s, _LIT if lit else _DARK) for _, length_s, lit in runs)
    for match in _CARD.finditer(letters):
        name = str(match.lastgroup) if match["blinks"] is None else _blinks(match["blinks"], match["after"] or "")
        if not name:
            continue
        start_s, length_s, _ = runs[match.start()]
        if length_s > _LIGHT_BEFORE_S.get(name.split()[0], float("inf")):
            yield Said("solid", start_s)
        yield Said(name, start_s)


def _blinks(letters: str, after: str) -> str:
    """Tell what a row of blinks says: by how many there are, whether any was quick, and how dark it is after them.

    Empty where that is not certain yet, because it is still going on.
    """
    count, quick = len(letters) // 2 + 1, not {"q", "."}.isdisjoint(letters[1:])
    if count == 3 and after in {";", "_", "O"} and (quick or after == ";"):
        return "kept"
    if quick:
        return "copying"
    return f"fault {count}" if after in {"_", "O"} else ""


def _letter(length_s: float, letters: tuple[tuple[float, str], ...]) -> str:
    return next(letter for limit_s, letter in letters if length_s < limit_s)
