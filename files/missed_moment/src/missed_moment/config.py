"""Settings: what the owner may write into `missed-moment.toml`, and what is used where they wrote nonsense.

The file lies on the FAT boot partition and is edited on any computer, by anyone. So no content of it can stop
the recorder: every key that is unknown or out of range, and every line that is not TOML, becomes one line that says
what is allowed, and its default is used; except that a slip never switches a microphone or a camera on. The models
below are the reference: the docs are made from them.
"""

import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from missed_moment import clock, lenient_toml, private_side, settings_file
from missed_moment.errors import SettingsError, reason
from missed_moment.lenient_toml import BadLine

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

GPIO_LINES = 28
"""GPIO0 to GPIO27 are what the 40-pin header carries."""

Pin = Annotated[int, Field(ge=0, lt=GPIO_LINES)]


def _known_zone(name: str) -> str:
    if clock.zone(name) is None:
        raise PydanticCustomError("zone", "Input should be a time zone that this system knows")
    return name


class _Table(BaseModel):
    """One table of the file; keys and types are exact, `1` is not `"1"` and not `true`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class VideoSettings(_Table):
    """The picture."""

    width: Annotated[int, Field(ge=160, le=1920, multiple_of=16)] = Field(1280, description="pixels, a multiple of 16")
    height: Annotated[int, Field(ge=120, le=1440, multiple_of=2)] = Field(720, description="pixels, even")
    fps: Annotated[int, Field(ge=5, le=60)] = Field(30, description="frames a second")
    bitrate_mbps: Annotated[float, Field(ge=0.5, le=25)] = Field(6.0, description="million bits a second")
    field_of_view: Literal["full", "crop"] = Field(
        "full",
        description='of the board\'s camera: "full": all that it can see; "crop": the middle, in more detail',
    )
    rotation: Literal[0, 90, 180, 270] = Field(0, description="degrees clockwise, for a camera mounted askew")


class SoundSettings(_Table):
    """The microphone."""

    enabled: bool = Field(True, description="record sound when there is a microphone")
    device: str | None = Field(None, max_length=64, description="ALSA card name; without it the first that records")
    offset_ms: Annotated[float, Field(ge=-500, le=500)] = Field(0.0, description="how much later sound is to be played")

    @property
    def asked_for(self) -> bool:
        """Whether the owner wrote that there is to be sound; by default there is some where there is a microphone."""
        return self.enabled and not self.model_fields_set.isdisjoint({"enabled", "device"})


class MomentSettings(_Table):
    """What one press keeps."""

    before_s: Annotated[int, Field(ge=5, le=300)] = Field(60, description="seconds kept from before the press")
    after_s: Annotated[int, Field(ge=0, le=60)] = Field(5, description="seconds kept from after the press")
    limit_s: Annotated[int, Field(ge=60, le=900)] = Field(300, description="longest moment that more presses make")


class ButtonSettings(_Table):
    """The button, and the optional switch that turns the camera off."""

    pin: Pin = Field(17, description="GPIO number of the button")
    active_low: bool = Field(True, description="the button connects the pin to ground")
    lockout_ms: Annotated[int, Field(ge=5, le=1000)] = Field(50, description="contacts may bounce this long")
    switch_pin: Pin | None = Field(None, description="GPIO number of a switch: open means camera off")


class LedSettings(_Table):
    """The LED."""

    pin: Pin = Field(27, description="GPIO number of the LED")


class StoreSettings(_Table):
    """What happens to moments on the device."""

    keep_exported_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        30, description="days that a moment stays after it was copied to a stick, room permitting"
    )
    when_full: Literal["stop", "oldest"] = Field(
        "stop",
        description='"stop": never delete what no stick has; "oldest": make room by deleting the oldest',
    )


class StickSettings(_Table):
    """What is accepted as a stick."""

    filesystems: list[Literal["vfat", "exfat", "ntfs", "ext4"]] = Field(
        ["vfat", "exfat"], min_length=1, description="file systems that are accepted"
    )
    delete_after_export: bool = Field(
        False, description="delete a moment soon after a verified copy is on a stick, whatever keep_exported_days says"
    )
    tells_time: bool = Field(
        True, description="where nothing else knows what time it is, believe the newest file on a stick"
    )


class DeviceSettings(_Table):
    """Which device this is."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}$")] = Field(
        "missed-moment", description="letters, digits and hyphens; part of what is shown on the stick"
    )
    timezone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{1,64}$"), AfterValidator(_known_zone)] = Field(
        "UTC", description="time zone, as in Europe/Berlin"
    )


class NetworkSettings(_Table):
    """The network, which the recorder itself never uses."""

    enabled: bool = Field(False, description="leave the board's network on, for maintenance")


class Settings(_Table):
    """All settings, each with a good default."""

    video: VideoSettings = VideoSettings()
    sound: SoundSettings = SoundSettings()
    moment: MomentSettings = MomentSettings()
    button: ButtonSettings = ButtonSettings()
    led: LedSettings = LedSettings()
    store: StoreSettings = StoreSettings()
    stick: StickSettings = StickSettings()
    device: DeviceSettings = DeviceSettings()
    network: NetworkSettings = NetworkSettings()


_MOST_PROBLEMS = 50
_SOUND_OFF = "sound is off until this is corrected"
_CAMERA_OFF = "the camera is off until this is corrected, for the line may be about its switch"


@dataclass(frozen=True)
class Loaded:
    """Settings that can be used, and a line for each thing in the file that could not."""

    settings: Settings = field(default_factory=Settings)
    problems: tuple[str, ...] = ()
    camera_allowed: bool = True
    """False if the settings may name a switch that turns the camera off, and it is not known which pin that has."""


def load(path: Path, fstab: Path = Path("/etc/fstab")) -> Loaded:
    """Read settings from `path`. Never raises: what cannot be read or used is a problem, and a default.

    A file that is not there is not a problem: every key is optional. If it cannot be read, or the file system that
    fstab(5) lists for it is not mounted, nobody knows what is switched off: then sound and camera are.
    """
    misnamed = settings_file.misnamed(path)
    found = [loaded for loaded in map(_read, (path, *misnamed)) if loaded is not None]
    # If there is a file below the mount point, it is for this case (our image has one), or this is a chroot.
    if not found and (where := settings_file.unmounted(path, fstab)):
        return _unreadable(f"{where} is not mounted, so {path.name} is not read; mount it and restart the recorder")
    loaded, *others = found or [Loaded()]
    for other in others:
        loaded = _restricted(loaded, other)
    hint = "Windows shows the end of a name if you switch on its file name extensions"
    renamed = (f"{other.name} has the wrong name; rename it to {path.name} ({hint})" for other in misnamed)
    return replace(loaded, problems=(*loaded.problems, *renamed))


def _read(path: Path) -> Loaded | None:
    """Read one file; None if there is none."""
    try:
        data = settings_file.read(path)
    except FileNotFoundError:
        return None
    except (OSError, SettingsError) as error:
        return _unreadable(f"{path} cannot be read ({reason(error)}); write it again")
    text, note = lenient_toml.decode(data)
    return parse(text, path.name, note)


def parse(text: str, name: str = "missed-moment.toml", note: tuple[int, str] | None = None) -> Loaded:
    """Read settings from TOML text; `name` is what problems call it, `note` a line and what is wrong with it."""
    document = lenient_toml.read(text)
    problems = [*document.notes, *([note] if note else [])]
    sound_off = camera_off = False
    try:
        settings, refused = Settings.model_validate(document.tables), {}
    except ValidationError as error:
        # A list or a table can be wrong in several places: its key still gets one line.
        refused = {_key(detail): detail for detail in reversed(error.errors())}
        settings = Settings.model_validate(_without(document.tables, refused))
    for header, *below in _with_what_is_below(document.bad):
        sound = any(map(private_side.line_may_mean_sound, (header, *below)))
        switch = any(map(private_side.line_may_mean_switch, (header, *below)))
        sound_off, camera_off = sound_off or sound, camera_off or switch
        problems.append((header.number, f"{header.message}{_consequences(sound, switch)}"))
    enabled = settings.sound.enabled and "enabled" in settings.sound.model_fields_set
    for key, detail in refused.items():
        known, value = detail["type"] != "extra_forbidden", _value(document.tables, key)
        sound = private_side.refusal_may_mean_sound(key, value, known, enabled)
        switch = private_side.refusal_may_mean_switch(key, value)
        sound_off, camera_off = sound_off or sound, camera_off or switch
        line = document.lines.get(key) or document.lines.get(key[:1], 0)
        problems.append((line, _explain(detail) + _consequences(sound, switch)))
    if clash := _pin_clash(settings):
        settings, message, switch = clash
        camera_off = camera_off or switch
        problems.append((document.lines.get(("button",), 0), message + _consequences(False, switch)))
    lines = [f"{name}, line {line}: {message}" if line else f"{name}: {message}" for line, message in sorted(problems)]
    if len(lines) > _MOST_PROBLEMS:
        lines[_MOST_PROBLEMS:] = [f"{name}: {len(lines) - _MOST_PROBLEMS} more lines are not used"]
    return Loaded(_silenced(settings) if sound_off else settings, tuple(lines), camera_allowed=not camera_off)


def look_up(settings: Settings, name: str) -> Any:
    """Return the setting that is called `table.key`. Raises SettingsError where there is none."""
    try:
        table, key = name.split(".")
        return getattr(settings, table).model_dump(mode="json")[key]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        known = (f"{name}.{key}" for name, table in Settings() for key in type(table).model_fields)
        raise SettingsError(f"{name} is not a setting; what there is: {', '.join(known)}") from error


def _key(error: "ErrorDetails") -> tuple[str, ...]:
    """Name the table, or the table and key, that an error is about."""
    return tuple(str(part) for part in error["loc"][:2])


def _explain(error: "ErrorDetails") -> str:
    """One line: the key, its value, and what is allowed."""
    key = _key(error)
    table = Settings.model_fields[key[0]].default if key[0] in Settings.model_fields else None
    if error["type"] == "extra_forbidden":
        known = list(type(table or Settings()).model_fields)
        nearest = "".join(f" (the nearest is {name})" for name in get_close_matches(key[-1], known, 1))
        return f"{_spell(key)} is not a setting; what there is: {', '.join(known)}{nearest}"
    if isinstance(error["input"], list) and len(key) == 1:
        return f"{lenient_toml.list_of_tables(key[0])}; its defaults are used"
    if len(key) == 1 or not isinstance(table, _Table):
        return f"{_spell(key)} must be a table, as in [{key[0]}]; its defaults are used"
    allowed = error["msg"].removeprefix("Input ")
    meaning = type(table).model_fields[key[1]].description
    default = json.dumps(getattr(table, key[1]))
    value = reprlib.repr(error["input"])
    return f"{_spell(key)} = {value}: {allowed} ({meaning}); {default} is used"


def _spell(key: tuple[str, ...]) -> str:
    """Write a key as it stands in the file; control characters in it stay visible and harmless."""
    table, *rest = (part if part.isidentifier() else json.dumps(part) for part in key)
    return " ".join([f"[{table}]", *rest])


def _without(tables: Mapping[str, Any], keys: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """Copy `tables`, leaving out what `keys` name."""
    copy = {name: dict(table) if isinstance(table, dict) else table for name, table in tables.items()}
    for table, *key in keys:
        if key:
            copy[table].pop(key[0], None)
        else:
            copy.pop(table, None)
    return copy


def _pin_clash(settings: Settings) -> tuple[Settings, str, bool] | None:
    """Return settings without pins that are given two jobs, the message, and whether the switch is among them.

    Neither of two such pins can be trusted, so all but the switch's go back to their defaults.
    """
    button, led = settings.button, settings.led
    used = [pin for pin in (button.pin, led.pin, button.switch_pin) if pin is not None]
    if len(set(used)) == len(used):
        return None
    free = button.switch_pin not in {button.pin, led.pin, ButtonSettings().pin, LedSettings().pin}
    defaults = ButtonSettings(switch_pin=button.switch_pin if free else None)
    message = (
        f"[button] pin = {button.pin}, [led] pin = {led.pin}, [button] switch_pin = {button.switch_pin}: each must be "
        f"a pin of its own; the defaults of [button] and [led]{' besides switch_pin' * free} are used"
    )
    lost = button.switch_pin is not None and not free
    return settings.model_copy(update={"button": defaults, "led": LedSettings()}), message, lost


def _with_what_is_below(bad: Iterable[BadLine]) -> Iterator[list[BadLine]]:
    """Yield each line that is not TOML; if it is a header, with the lines below it, whose table is not known."""
    lines: list[BadLine] = []
    for line in bad:
        if line.message and lines:
            yield lines
            lines = []
        lines.append(line)
    if lines:
        yield lines


def _consequences(sound_off: bool, camera_off: bool) -> str:
    return f"; {_SOUND_OFF}" * sound_off + f"; {_CAMERA_OFF}" * camera_off


def _silenced(settings: Settings) -> Settings:
    return settings.model_copy(update={"sound": settings.sound.model_copy(update={"enabled": False})})


def _unreadable(problem: str) -> Loaded:
    """Return what is in force if nobody knows what the owner has switched off."""
    return Loaded(_silenced(Settings()), (f"{problem}; until then camera and sound are off",), camera_allowed=False)


def _restricted(loaded: Loaded, other: Loaded) -> Loaded:
    """Return `loaded` without what `other` switches off."""
    switch_pin = other.settings.button.switch_pin
    agreed = other.camera_allowed and switch_pin in {None, loaded.settings.button.switch_pin}
    settings = loaded.settings if other.settings.sound.enabled else _silenced(loaded.settings)
    return replace(loaded, settings=settings, camera_allowed=loaded.camera_allowed and agreed)


def _value(tables: Mapping[str, Any], key: tuple[str, ...]) -> Any:
    value: Any = tables
    for part in key:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
