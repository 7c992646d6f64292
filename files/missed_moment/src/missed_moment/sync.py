"""How far the sound of a clip is from its picture, measured from the file alone, as a player would present it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from missed_moment.errors import ClipError, reason
from missed_moment.packets import SAMPLE_RATE

Floats = NDArray[np.float64]

SMALL = (64, 36)
"""Width and height in which pictures are looked at."""
FLASH = 24.0
"""Grey levels by which the whole picture becomes brighter when something flashes."""
MOTION = 3.0
"""Grey levels by which it changes on average, at least, when hands clap in front of it."""
APART_S = 0.4
"""Events of one kind are further apart than this, and what is seen and heard of one is closer together."""
_LOUDER = 8.0
_WINDOW = SAMPLE_RATE // 1000


@dataclass(frozen=True)
class Presented:
    """What a player shows and plays: mean brightness and change of each picture, and the sound from `sound_s` on."""

    times_s: Floats
    brightness: Floats
    change: Floats
    sound_s: float
    sound: Floats


FindSounds = Callable[[Floats], Floats]
"""Takes sound at `SAMPLE_RATE`, returns when in it something was heard, in seconds."""


def measure(path: Path, find_sounds: FindSounds | None = None) -> list[float]:
    """Return how much later each event is heard than seen, in seconds.

    Seen is a flash, or, where there is none, a clap; heard is what `find_sounds` finds: by default, whatever is
    suddenly loud. Of a flash, the time is exact; of a clap, to about a picture. Raises ClipError where the clip
    cannot be decoded, or has no sound.
    """
    seen = decode(path)
    pictures = flashes(seen)
    if not len(pictures):
        pictures = claps(seen)
    sounds = seen.sound_s + (find_sounds or bangs)(seen.sound)
    offsets = [sounds - at for at in pictures]
    nearest = [float(offset[np.argmin(np.abs(offset))]) for offset in offsets if len(offset)]
    return [offset for offset in nearest if abs(offset) < APART_S]


def decode(path: Path) -> Presented:
    """Decode a clip, the beginning of its sound cut off as its edit list says. Raises ClipError."""
    times: list[float] = []
    grey: list[Floats] = []
    sound: list[Floats] = []
    sound_s = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise ClipError(f"{path} has no sound: is a microphone plugged in, and `sound` on in the status?")
            for frame in container.decode(video=0, audio=0):
                if isinstance(frame, av.VideoFrame):
                    times.append(frame.time or 0.0)
                    grey.append(frame.reformat(*SMALL, "gray").to_ndarray().astype(np.float64))
                elif isinstance(frame, av.AudioFrame):
                    sound_s = frame.time if sound_s is None else sound_s
                    sound.append(frame.to_ndarray()[0].astype(np.float64))
    except (FFmpegError, OSError) as error:
        raise ClipError(f"{path} cannot be decoded ({reason(error)})") from error
    pictures = np.array(grey)
    return Presented(
        times_s=np.array(times),
        brightness=pictures.mean(axis=(1, 2)),
        change=np.abs(np.diff(pictures, axis=0, prepend=pictures[:1])).mean(axis=(1, 2)),
        sound_s=sound_s or 0.0,
        sound=np.concatenate(sound) if sound else np.zeros(0),
    )


def flashes(seen: Presented) -> Floats:
    """Return when the picture becomes bright at once.

    A picture that was being exposed when the flash came is brighter in proportion, and so tells when that was.
    """
    return _peaks(seen.times_s, np.diff(seen.brightness, prepend=seen.brightness[:1]), FLASH)


def claps(seen: Presented) -> Floats:
    """Return when most moves at once: hands are fastest just before they meet."""
    return _peaks(seen.times_s, seen.change - np.median(seen.change), MOTION)


def bangs(sound: Floats) -> Floats:
    """Return when it becomes loud at once."""
    power = np.square(sound[: len(sound) // _WINDOW * _WINDOW]).reshape(-1, _WINDOW).mean(axis=1)
    quiet = float(np.median(power)) + 1e-6
    loud = np.flatnonzero(power > quiet * _LOUDER**2)
    first = [index for index, gap in zip(loud, np.diff(loud, prepend=-len(power)), strict=True) if gap > APART_S * 1000]
    return np.array(first, dtype=np.float64) * _WINDOW / SAMPLE_RATE


def _peaks(times_s: Floats, strength: Floats, least: float) -> Floats:
    """Return where `strength` peaks: the middle of gravity of each peak and its two neighbours.

    How strong the first picture is, nobody knows, and nothing is known of what follows the last: a peak beside them
    is half of one, and would be found in the wrong place.
    """
    found: list[int] = []
    for index in np.argsort(-strength):
        if strength[_beside(index)].clip(min=0).sum() < least:
            break
        if all(abs(times_s[index] - times_s[other]) > APART_S for other in found):
            found.append(int(index))
    whole = (_beside(index) for index in sorted(found) if 1 < index < len(strength) - 1)
    return np.array([np.average(times_s[near], weights=strength[near].clip(min=0)) for near in whole])


def _beside(index: int) -> slice:
    return slice(max(0, index - 1), index + 2)
