"""Draw docs/pictures/led-card.svg from the LED's language; with --check, say whether it is up to date."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import accumulate, groupby
from operator import itemgetter
from pathlib import Path

from made_from_the_code import write_or_check

from missed_moment.health import Fault
from missed_moment.panel import language
from missed_moment.panel.language import FAULTS, SIGNALS, Signal, Step, copying, while_filming

TARGET = Path(__file__).parents[1] / "docs" / "pictures" / "led-card.svg"

MEANINGS: Mapping[Signal, tuple[str, str]] = {
    language.OFF: ("off", "the camera is off, or not ready yet"),
    language.FILLING: ("just started", "the minute is filling; a press counts already"),
    language.RECORDING: ("recording", "press whenever something lovely happens"),
    language.SAVING: ("saving", "what was pressed for is being written"),
    language.KEPT: ("kept", "it is on the card: pull the plug if you like"),
    copying(0.0): ("copying to the stick", "faster and faster, the more is copied"),
    language.STICK_DONE: ("the stick is done", "with a stick in: it is safe to pull it"),
    language.FORGOTTEN: ("forgotten", "the last minute is gone"),
    FAULTS[Fault.CAMERA]: ("2: camera", "it delivers no pictures: look at its cable"),
    FAULTS[Fault.STORAGE_FULL]: ("3: storage is full", "plug in a stick: that makes room"),
    FAULTS[Fault.STICK]: ("4: stick", "of no use, full, or pulled too early"),
    FAULTS[Fault.MICROPHONE]: ("5: microphone", "there is no sound: plug it in again"),
    FAULTS[Fault.SAVE_FAILED]: ("6: not saved", "the card does not take what is kept"),
    FAULTS[Fault.SETTINGS]: ("7: settings", "a line of missed-moment.toml is not used"),
    FAULTS[Fault.HOT]: ("8: heat or power", "the board is hot, or gets too little voltage"),
    FAULTS[Fault.EXPOSED]: ("9: swap", "RAM could reach storage: the camera is off"),
}
"""A name, and what to know or do."""

WIDTH, HEIGHT = 592, 840  # A5, in quarters of a millimetre
SHOWN_S = 6.0
"""What a bar shows."""
_LEFT, _BAR, _THICK = 32, 240, 18
_TEXT = _LEFT + _BAR + 20
_FIRST, _ROW = 112, 42
_SECOND = _BAR / SHOWN_S
_WORDS = len(SIGNALS) - len(FAULTS)
_BETWEEN = 34
"""Between what it says and what is wrong."""

_COUNT = (
    '<tspan class="name">Something is wrong: count the blinks.</tspan> '
    "A short blip: it films. In words: health.txt on a stick."
)
_CAMERA_OFF = (language.OFF, FAULTS[Fault.CAMERA], FAULTS[Fault.EXPOSED])
"""Signals of a camera that does not film; all others are drawn as they are while it does."""

_HEAD = f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="148mm" height="210mm" viewBox="0 0 {WIDTH} {HEIGHT}" \
font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="12" role="img" aria-labelledby="title desc">
  <title id="title">What the LED of a missed-moment says</title>
  <desc id="desc">{{desc}}</desc>
  <style>
    text {{{{ fill: #1f2937 }}}}
    .name {{{{ font-size: 13px; font-weight: bold }}}}
    .small {{{{ font-size: 11px; fill: #4b5563 }}}}
    .dark {{{{ fill: #1f2937 }}}}
    .over {{{{ fill: #e5e7eb }}}}
    .lit {{{{ fill: #fbbf24 }}}}
  </style>
  <rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>
  <text x="{_LEFT}" y="50" font-size="22" font-weight="bold">What the LED says</text>
  <text x="{_LEFT}" y="74" class="small">Each bar is {SHOWN_S:g} seconds, from left to right: yellow is lit. \
It begins again, unless it says “once”.</text>
"""


def render() -> str:
    """Return the card."""
    said = [f"{name}: {meaning}" for name, meaning in map(MEANINGS.__getitem__, SIGNALS)]
    parts = [_HEAD.format(desc=escape("; ".join(said), quote=False))]
    for number, signal in enumerate(SIGNALS):
        name, meaning = MEANINGS[signal]
        top = _FIRST + number * _ROW + (_BETWEEN if number >= _WORDS else 0)
        once = ' <tspan class="small" font-weight="normal">(once)</tspan>' if signal.once else ""
        parts += [
            *_bar(signal, top),
            f'  <text x="{_TEXT}" y="{top + 6}" class="name">{escape(name)}{once}</text>\n',
            f'  <text x="{_TEXT}" y="{top + 22}">{escape(meaning)}</text>\n',
        ]
    top = _FIRST + _WORDS * _ROW + 10
    parts.append(f'  <text x="{_LEFT}" y="{top}" class="small">{_COUNT}</text>\n')
    return "".join([*parts, "</svg>\n"])


def _bar(signal: Signal, top: int) -> Iterator[str]:
    """Yield the darkness, and the light in it; what follows upon a signal that is shown once is not its own."""
    steps = list(_as_one(_shown(signal)))
    ends_s = list(accumulate(seconds for _, seconds in steps))
    yield _stretch("over", 0, SHOWN_S, top)
    yield _stretch("dark", 0, min(SHOWN_S, ends_s[-1]), top)
    lit = zip(steps, [0.0, *ends_s], strict=False)
    for (level, seconds), start_s in lit:
        if level > 0.01 and start_s < SHOWN_S:
            yield _stretch("lit", start_s, min(seconds, SHOWN_S - start_s), top, level)


def _shown(signal: Signal) -> Iterator[Step]:
    """Yield what is seen in `SHOWN_S`; of a copy, from its beginning to its end."""
    at_s = 0.0
    while at_s < SHOWN_S - 1e-6:
        standing = copying(at_s / SHOWN_S) if signal == copying(0.0) else signal
        steps = (standing if signal in _CAMERA_OFF else while_filming(standing)).steps
        for step in steps:
            yield step
            at_s += step[1]
        if signal.once:
            return


def _as_one(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield stretches of one brightness whole: no bar is to show a seam."""
    for level, same in groupby(steps, key=itemgetter(0)):
        yield level, sum(seconds for _, seconds in same)


def _stretch(kind: str, start_s: float, seconds: float, top: int, level: float = 1.0) -> str:
    dim = f' fill-opacity="{level:.2f}"' if level < 1 else ""
    return (
        f'  <rect class="{kind}" x="{_LEFT + start_s * _SECOND:.1f}" y="{top}" '
        f'width="{seconds * _SECOND:.1f}" height="{_THICK}"{dim}/>\n'
    )


if __name__ == "__main__":
    write_or_check(TARGET, render())
