"""Reading the LED, as a person would who knows the card: from when it was lit to what it said.

Each stretch of light or darkness becomes a letter for how long it was, and what the LED says is a pattern of
letters. They are written from the card and not from the program that shines: a slip there cannot excuse itself
here. An emulated processor is late at times, so lengths are told apart about half-way between those that there are.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

Edge = tuple[float, bool]
"""A time in seconds, and whether the LED is lit from then on."""

_LIT = ((0.05, "f"), (0.185, "q"), (0.5, "b"), (float("inf"), "L"))
"""Light up to so many seconds: flicker, a quick blink, a blink, a light."""
_DARK = ((0.05, "f"), (0.185, "."), (0.8, ","), (3.0, "_"), (float("inf"), "O"))
"""Darkness up to so many seconds; flicker of both kinds is dim light."""

# What follows upon light runs together with it, so that the first of some blinks may seem long: then the light
# was there before. The first pattern that fits is it.
_CARD = re.compile(
    r"""
    (?P<filling>   f ([fqb.,]* f){3,} )
    | (?P<forgotten> L , L )
    | (?P<kept>      [qbL] \. q \. q (?= [,_O] ) )
    | (?P<copying>   [qbL] \. q (\. q)* )
    | (?P<fault>     [bL] (, b)+ (?= [_O] ) )
    | (?P<recording> q (?= [,_] ) )
    | (?P<solid>     L )
    | (?P<off>       O )
    """,
    re.VERBOSE,
)
_LONG_BLINK_S = 1.5
_LIGHT_BEFORE_S = {"forgotten": _LONG_BLINK_S, "kept": 0.185, "copying": 0.185, "fault": 0.5}
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
        name = str(match.lastgroup)
        start_s, length_s, _ = runs[match.start()]
        if length_s > _LIGHT_BEFORE_S.get(name, float("inf")):
            yield Said("solid", start_s)
        if name == "fault":
            name = f"fault {match[0].count(',') + 1}"
        yield Said(name, start_s)


def _letter(length_s: float, letters: tuple[tuple[float, str], ...]) -> str:
    return next(letter for limit_s, letter in letters if length_s < limit_s)
