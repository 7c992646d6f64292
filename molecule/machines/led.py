"""Reading the LED, as a person would who knows the card: from light and darkness to what was said.

The signs are written from the card and not from the program that shines: a slip there cannot excuse itself here. An
emulated processor is late at times: what it shows is never shorter than it should be, unless something else is shown
instead, but often longer. So of all that may have been said, the likeliest is what was the least late in all: a
Viterbi search through the stretches of light and darkness.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Literal, NamedTuple, Self

Edge = tuple[float, bool]
"""A time in seconds, and whether the LED is lit from then on."""

_Light = Literal["lit", "dark", "dim"]

_ANY_S = float("inf")
_EARLY_S = 0.01
"""The notes of when the LED changed are less exact than the program that changes it, by so much."""
_CHANGE_S = 0.5
"""To say something else is as rare as to be late by so much."""
_UNCLEAR_S = 3.0
"""And so is to say something that is not on the card."""
_BROKEN_OFF_S = 1.0
"""And so is to break off what says nothing before it is over."""
_HOPELESS_S = 4.0
"""What is later than the best guess by so much is given up."""
_BLIP_S = 0.08
_PAUSE_S = 0.8
"""A last darkness that has lasted so long is a pause, and none between two blinks."""


@dataclass(frozen=True)
class _Step:
    light: _Light
    least_s: float
    most_s: float
    limit_s: float = _ANY_S
    """So late, it is something else."""


@dataclass(frozen=True)
class _Sign:
    """Something that the card explains, once around: if `whole`, it says nothing before step `says` is over."""

    name: str
    steps: tuple[_Step, ...]
    whole: bool = False
    rare_s: float = _CHANGE_S
    blip_steps: int = 0
    """So many steps at its end only show that it films."""

    @property
    def says(self) -> int:
        """The step after which it is known."""
        return len(self.steps) - 1 - self.blip_steps


def _blinks(name: str, count: int, lit_s: float, dark_s: float, pause_s: float, *, whole: bool = False) -> _Sign:
    lit, dark, pause = (_Step("lit", lit_s, lit_s), _Step("dark", dark_s, dark_s), _Step("dark", pause_s, pause_s))
    return _Sign(name, (*((lit, dark) * count)[:-1], pause), whole)


def _dark_first(sign: _Sign) -> _Sign:
    """Return what the card shows after the LED was lit."""
    return replace(sign, steps=(_Step("dark", 0.4, 0.4), *sign.steps))


def _filming(sign: _Sign, least_s: float, most_s: float, after_s: float, blip_steps: int = 2) -> _Sign:
    """Return what the card shows while it films: the last darkness lasts as long as said, then come a blip and more."""
    blip = (_Step("dark", least_s, most_s), _Step("lit", _BLIP_S, _BLIP_S), _Step("dark", after_s, after_s))
    return replace(sign, steps=(*sign.steps[:-1], *blip), blip_steps=blip_steps)


_SIGNS = (
    _Sign("filling", (_Step("dim", 0, _ANY_S),)),
    _blinks("recording", 1, 0.08, 1.92, 1.92),
    _Sign("solid", (_Step("lit", 0.6, _ANY_S),), whole=True),
    _Sign("solid", (_Step("lit", 0.6, _ANY_S), _Step("dark", _BLIP_S, _BLIP_S, 0.38)), whole=True, blip_steps=1),
    _dark_first(_blinks("kept", 3, 0.12, 0.12, 0.52, whole=True)),
    _Sign("copying", (_Step("lit", 0.1, 0.1), _Step("dark", 0.1, 0.3)) * 2, whole=True),
    _filming(_Sign("copying", (_Step("lit", 0.1, 0.1), _Step("dark", 0.1, 0.3)) * 12, whole=True), 0.7, 0.9, 0.6, 22),
    _dark_first(_blinks("forgotten", 2, 1.0, 0.4, 0.8, whole=True)),
    *(_blinks(f"fault {count}", count, 0.25, 0.25, 1.75) for count in range(2, 10)),
    *(_filming(_blinks(f"fault {count}", count, 0.25, 0.25, 1.25), 1.25, 1.25, 1.25) for count in range(2, 10)),
    _Sign("off", (_Step("dark", 4.0, _ANY_S),), whole=True),
    *(_Sign("", (_Step(light, 0, _ANY_S),), rare_s=_UNCLEAR_S) for light in ("lit", "dark", "dim")),
)
"""All that is on the card, and what is not on it. What the card shows without an end says nothing where it is short."""

_LETTERS = {"lit": ((0.05, "f"), (0.6, "b"), (_ANY_S, "_")), "dark": ((0.05, "f"), (0.8, "b"), (_ANY_S, "_"))}
"""Light and darkness of up to so many seconds: flicker, what may come between flicker, and what does not."""
_FLICKER = re.compile("f(b*f){3,}")


@dataclass(frozen=True)
class _Stretch:
    light: _Light
    length_s: float


_Said = tuple["_Said", str] | None
"""What was said last, after what was said before that."""


class _Guess(NamedTuple):
    """That the LED is at this step of a sign, having been late by `late_s` in all."""

    late_s: float
    sign: _Sign
    at: int
    begun: bool = True
    """The sign was seen to begin."""
    said: _Said = None
    done: bool = False
    """The step was shown for as long as it should be, so that the next one may follow."""
    again: bool = False
    """The sign was shown once around before."""

    @property
    def step(self) -> _Step:
        return self.sign.steps[self.at]

    @property
    def last(self) -> bool:
        return self.at == len(self.sign.steps) - 1

    def lasts(self, length_s: float) -> Self:
        """Return the guess that this step was shown for so long."""
        done = length_s >= self.step.least_s - _EARLY_S
        told = self.at == self.sign.says and (done or (length_s >= _PAUSE_S and not self.sign.whole))
        news = told and self.begun and self.sign.name and (self.said is None or self.said[1] != self.sign.name)
        said = (self.said, self.sign.name) if news else self.said
        return self._replace(late_s=self.late_s + max(0.0, length_s - self.step.most_s), said=said, done=done)

    def goes_on(self) -> Self:
        """Return the guess that the next step follows."""
        return self._replace(at=0, begun=True, again=True) if self.last else self._replace(at=self.at + 1)

    @property
    def left_s(self) -> float:
        """How late it is in all, if it says nothing more."""
        since = self.at - self.sign.says  # of a burst, each two blinks say it, and of those that follow, each
        known = (since >= 0 and since % 4 == 0) or (self.again and since % 2 == 0 and self.sign.blip_steps > 1)
        broken_off = self.sign.whole and not (self.done and known)
        return self.late_s + (_BROKEN_OFF_S if broken_off else 0.0)

    def gives_way(self, sign: _Sign) -> Self:
        """Return the guess that another sign follows."""
        return self._replace(late_s=self.left_s + sign.rare_s, sign=sign, at=0, begun=True, again=False)


def read(edges: Iterable[Edge], until_s: float) -> list[str]:
    """Return what the LED said between the first of `edges` and `until_s`: the card's words, each once in a row.

    A fault's has the number of blinks.
    """
    guesses: list[_Guess] = []
    for stretch in _stretches(edges, until_s):
        guesses = _likely(_explain(stretch, guesses))
    words, said = [], guesses[0].said if guesses else None
    while said:
        said, last = said
        words.append(last)
    return words[::-1]


def _stretches(edges: Iterable[Edge], until_s: float) -> Iterator[_Stretch]:
    """Return light and darkness in turn; flicker of both kinds, with what little comes in between, is dim light."""
    changes = [next(same) for _, same in groupby(edges, key=lambda edge: edge[1])]
    runs = [
        _Stretch("lit" if lit else "dark", end_s - start_s)
        for (start_s, lit), (end_s, _) in pairwise([*changes, (until_s, False)])
    ]
    at = 0
    for flicker in _FLICKER.finditer("".join(map(_letter, runs))):
        yield from runs[at : flicker.start()]
        at = flicker.end()
        yield _Stretch("dim", sum(run.length_s for run in runs[flicker.start() : at]))
    yield from runs[at:]


def _letter(run: _Stretch) -> str:
    return next(letter for limit_s, letter in _LETTERS[run.light] if run.length_s < limit_s)


def _explain(stretch: _Stretch, before: list[_Guess]) -> Iterator[_Guess]:
    """Return all that the LED may have been at when `stretch` ended."""
    begun = [sign for sign in _SIGNS if sign.steps[0].light == stretch.light]
    together: dict[int, _Guess] = {}  # by the place of the sign that follows: the best of each is enough
    for guess in _open(before, begun):
        step = guess.step
        if step.light != stretch.light or stretch.length_s > step.limit_s:
            continue
        yield guess.lasts(stretch.length_s)
        least_s = (step.least_s if guess.sign.whole else 0) - _EARLY_S
        for place, sign in enumerate(begun):  # what follows may be lit as well, or dark: then they run together
            first_s = min(step.most_s, stretch.length_s - sign.steps[0].least_s)
            best = together.get(place)
            if first_s > least_s and (best is None or guess.late_s + sign.rare_s < best.late_s):
                both = guess.lasts(first_s).gives_way(sign).lasts(stretch.length_s - first_s)
                if best is None or both.late_s < best.late_s:
                    together[place] = both
    yield from together.values()


def _open(before: list[_Guess], begun: list[_Sign]) -> Iterator[_Guess]:
    """Return all that the LED may have been at when a stretch began: it goes on, or something else is `begun`."""
    if not before:
        for sign in _SIGNS:
            for at in range(len(sign.steps)):
                yield _Guess(sign.rare_s, sign, at, begun=at == 0)
        return
    for guess in before:
        if guess.done:
            yield guess.goes_on()
    leaving = min(before, key=attrgetter("left_s"))
    for sign in begun:
        yield leaving.gives_way(sign)


def _likely(guesses: Iterable[_Guess]) -> list[_Guess]:
    """Return the best guess for each step that the LED may be at, the best of all first."""
    ordered = sorted(guesses, key=attrgetter("late_s"))
    best: dict[tuple[int, int, bool], _Guess] = {}
    for guess in ordered:
        if guess.late_s < ordered[0].late_s + _HOPELESS_S:
            best.setdefault((id(guess.sign), guess.at, guess.done), guess)
    return list(best.values())
