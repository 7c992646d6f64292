"""What unusable settings may have switched off: such a slip must not switch a microphone or a camera on.

A line that cannot be read, a key that is misspelt, a value that is not allowed: each may be the one by which the owner
switched sound off, or chose the pin of the switch that turns the camera off. Then sound is off, or the camera is.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from missed_moment.lenient_toml import BadLine

_SOUND = ("sound", "audio", "microphone")
_SOUND_WORDS = frozenset({"mic", "mike", "mikro", "mikrofon", "mute", "muted"})
"""Too short to be recognized when they are misspelt."""
_SOUND_KEYS = ("enabled", "device")
_SWITCH = ("switch", "switchpin")
_CAMERA = ("camera", "video")
_LIKE, _LIKE_SWITCH = 0.75, 0.81
"""How like each other a key and its misspelling are, from 0 to 1. "with" is like "switch" by 0.80."""
_LONGEST = 40
"""Characters of a word that may be a key."""
_DEEP = 6
"""Tables in tables in a value that nobody writes on purpose."""
_WORD = re.compile(r"[^\W\d]\w*")
_NOT_SOUND = "offset_ms"
"""The key of [sound] that switches nothing."""


def line_may_mean_sound(line: BadLine) -> bool:
    """Whether a line that is not in force may have switched sound off, or chosen its device."""
    words = list(_words(line.text))
    if _is_damaged(line.text):
        return True
    if line.is_header:
        return _mean_sound(words)
    if line.table == "sound":
        return words[:1] != [_squeezed(_NOT_SOUND)]
    return _mean_sound(words) or (line.table != "network" and _any_like(words, _SOUND_KEYS))


def line_may_mean_switch(line: BadLine) -> bool:
    """Whether a line that is not in force may have chosen the pin of the switch, or switched the camera off."""
    words = list(_words(line.text))
    in_camera = not line.is_header and _any_like([_squeezed(line.table or "")], _CAMERA)
    of_camera = in_camera and _any_like(words[:1], ("enabled",))
    return of_camera or _is_damaged(line.text) or _any_like(words, _SWITCH, _LIKE_SWITCH)


def refusal_may_mean_sound(key: tuple[str, ...], value: Any, known: bool, enabled: bool) -> bool:
    """Whether a table, or a key of a table, that was refused may have switched sound off, or chosen its device.

    `known`: there is such a setting, and its value was refused. `enabled`: [sound] enabled = true is in force.
    """
    names, below = list(map(_squeezed, key)), list(_keys(value))
    if key[0] == "sound":
        muted = not _SOUND_WORDS.isdisjoint(names)
        return not (known and key[1:] == (_NOT_SOUND,)) and (known or muted or not enabled)
    if known:
        return False
    if _mean_sound([*names, *below]):
        return True
    of_a_table = len(key) > 1 or isinstance(value, Mapping)
    if of_a_table and _any_like(names[:1], ("network",)):
        return False
    return _any_like([*(names[1:] if of_a_table else names), *below], _SOUND_KEYS)


def refusal_may_mean_switch(key: tuple[str, ...], value: Any) -> bool:
    """Whether a table, or a key of a table, that was refused may have chosen the pin of the switch.

    There is no setting that switches the camera off; who wrote one all the same means it.
    """
    names, below = list(map(_squeezed, key)), list(_keys(value))
    of_camera = _any_like(names[:1], _CAMERA) and _any_like([*names[1:], *below], ("enabled",))
    return of_camera or _any_like([*names, *below], _SWITCH, _LIKE_SWITCH)


def _is_damaged(text: str) -> bool:
    """Whether nobody knows what a line said: no editor writes such characters, a failing card does."""
    return any(character == "\ufffd" or (character < " " and character != "\t") for character in text)


def _mean_sound(words: Collection[str]) -> bool:
    return not _SOUND_WORDS.isdisjoint(words) or _any_like(words, _SOUND)


def _any_like(words: Iterable[str], targets: Collection[str], like: float = _LIKE) -> bool:
    return any(
        target in word or SequenceMatcher(None, word, target).ratio() >= like
        for word in {word for word in words if len(word) <= _LONGEST}
        for target in targets
    )


def _words(text: str) -> Iterator[str]:
    return map(_squeezed, _WORD.findall(text))


def _keys(value: Any, deep: int = 0) -> Iterator[str]:
    """Yield the keys of all tables in a value; of what is nested too deep, one that stands for anything."""
    if deep > _DEEP:
        yield from (*_SOUND, *_SWITCH)
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield _squeezed(str(key))
            yield from _keys(below, deep + 1)
    elif isinstance(value, list):
        for below in value:
            yield from _keys(below, deep + 1)


def _squeezed(word: str) -> str:
    return re.sub(r"[\W_]", "", word.casefold())
