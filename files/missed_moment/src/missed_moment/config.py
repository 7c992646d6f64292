"""Settings: what the owner may write into `missed-moment.toml`, and what is used where they wrote nonsense.

The file lies on the FAT boot partition and is edited on any computer, by anyone. So no content of it can stop
the recorder: every key that is unknown or out of range becomes one line that says what is allowed, and its
default is used. The models below are the reference: the docs are made from them.
"""

import json
import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from missed_moment import clock
from missed_moment.errors import SettingsError

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


@dataclass(frozen=True)
class Loaded:
    """Settings that can be used, and a line for each thing in the file that could not."""

    settings: Settings = field(default_factory=Settings)
    problems: tuple[str, ...] = ()


def load(path: Path) -> Loaded:
    """Read settings from `path`. Never raises: what cannot be read or used is a problem, and a default.

    A file that is not there is not a problem: every key is optional.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Notepad writes a byte order mark
    except FileNotFoundError:
        return Loaded()
    except OSError as error:
        return Loaded(problems=(f"{path} cannot be read ({error.strerror}); all defaults are used",))
    except UnicodeDecodeError as error:
        return Loaded(problems=(f"{path} is not UTF-8 text (byte {error.start}); all defaults are used",))
    return parse(text, name=path.name)


def parse(text: str, name: str = "missed-moment.toml") -> Loaded:
    """Read settings from TOML text; `name` is what problems call it."""
    try:
        tables = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and integers too long for Python
        return Loaded(problems=(f"{name} is not TOML: {error}; all defaults are used",))
    except RecursionError:
        return Loaded(problems=(f"{name} nests too deep; all defaults are used",))
    try:
        settings, problems = Settings.model_validate(tables), {}
    except ValidationError as refused:
        # A list or a table can be wrong in several places: its key still gets one line.
        problems = {_key(error): _explain(error) for error in reversed(refused.errors())}
        settings = Settings.model_validate(_without(tables, problems))
    if clash := _pin_clash(settings):
        settings = settings.model_copy(update={"button": ButtonSettings(), "led": LedSettings()})
        problems["button", "pin"] = clash
    return Loaded(settings, tuple(f"{name}: {line}" for _, line in sorted(problems.items())))


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
        known = ", ".join(type(table or Settings()).model_fields)
        return f"{_spell(key)} is not a setting; what there is: {known}"
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


def _pin_clash(settings: Settings) -> str | None:
    """Say which pins are given two jobs: then neither can be trusted, and all go back to their defaults."""
    pins = [settings.button.pin, settings.led.pin, settings.button.switch_pin]
    used = [pin for pin in pins if pin is not None]
    if len(set(used)) == len(used):
        return None
    return (
        f"[button] pin = {pins[0]}, [led] pin = {pins[1]}, [button] switch_pin = {pins[2]}: "
        "each must be a pin of its own; the defaults of [button] and [led] are used"
    )
