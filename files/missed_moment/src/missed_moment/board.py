"""The board's temperature, voltage and power supply, from sysfs. A computer that is no Raspberry Pi reports less."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from missed_moment import clock
from missed_moment.clock import NS

HOT_C = 80.0
"""From this temperature on, a Raspberry Pi slows itself down (soft limit at 80 to 85 degrees Celsius)."""
COOL_C = 75.0
"""A hot board counts as hot until it is colder than this: a value that swings around one limit is one fault."""
UNDERVOLTAGE_HOLD_NS = 300 * NS
"""Under-voltage stands for this long after its last alarm. The kernel's alarm covers two seconds, and returns with
every peak of the load."""
USB_LOW_MA, USB_HIGH_MA = 600, 1600
"""What a Raspberry Pi 5 supplies to all its USB ports together (raspberrypi.com, "Power supply")."""

_VOLTAGE_DRIVER, _PROCESSOR_ZONE = "rpi_volt", "cpu-thermal"


@dataclass(frozen=True)
class PowerSupply:
    """What the firmware found out about the power supply when the board started; only a Raspberry Pi 5 does.

    `max_ma` is the current that the supply offers, `usb_ma` what all USB ports together may draw; None if unknown.
    """

    max_ma: int | None
    usb_ma: int | None


class HeatAlarm:
    """Stands from `HOT_C` on, until the board is colder than `COOL_C`. Pure."""

    def __init__(self) -> None:
        self._stands = False

    def update(self, temperature_c: float | None) -> bool:
        """Take a reading and return whether the alarm stands; a reading that failed changes nothing."""
        if temperature_c is not None:
            self._stands = temperature_c >= (COOL_C if self._stands else HOT_C)
        return self._stands


class VoltageAlarm:
    """Stands while the kernel reports under-voltage, and for `UNDERVOLTAGE_HOLD_NS` afterwards. Pure."""

    def __init__(self) -> None:
        self._until_ns: int | None = None

    def update(self, low: bool | None, now_ns: int) -> bool:
        """Take a reading at `now_ns` and return whether the alarm stands; None is a board without that sensor."""
        if low:
            self._until_ns = now_ns + UNDERVOLTAGE_HOLD_NS
        return self._until_ns is not None and now_ns < self._until_ns


class Board:
    """Reads below `sysfs`, which tests may put elsewhere. Any thread may ask."""

    def __init__(self, sysfs: Path = Path("/sys"), now_ns: Callable[[], int] = clock.monotonic_ns) -> None:
        self._sysfs = sysfs
        self._now_ns = now_ns
        self._heat, self._voltage = HeatAlarm(), VoltageAlarm()
        self._found: dict[str, Path] = {}

    def temperature_c(self) -> float | None:
        """Temperature of the processor in degrees Celsius, None if this board does not report it."""
        value = self._number("class/thermal", "thermal_zone*/type", _PROCESSOR_ZONE, "temp")
        return None if value is None else value / 1000

    def undervoltage(self) -> bool | None:
        """Whether the voltage was too low within the last `UNDERVOLTAGE_HOLD_NS`, None if there is no sensor.

        The alarm is true if the voltage was too low at any time between the driver's last two looks, which are two
        seconds apart; reading it asks the firmware nothing (drivers/hwmon/raspberrypi-hwmon.c). The firmware's own
        file, get_throttled, is left alone: reading it taints the kernel, and a Raspberry Pi 5 has it elsewhere.
        """
        alarm = self._number("class/hwmon", "hwmon*/name", _VOLTAGE_DRIVER, "in0_lcrit_alarm")
        stands = self._voltage.update(None if alarm is None else alarm != 0, self._now_ns())
        return stands if stands or alarm is not None else None

    def power_supply(self) -> PowerSupply | None:
        """Return what is known about the power supply, None on boards that cannot ask theirs.

        The firmware's properties are 32-bit big-endian numbers (raspberrypi.com, "Device tree", /chosen/power).
        """
        max_ma = self._property("max_current")
        usb_high = self._property("usb_max_current_enable")
        if max_ma is None and usb_high is None:
            return None
        # A supply that tells nothing has 0.
        return PowerSupply(max_ma or None, None if usb_high is None else USB_HIGH_MA if usb_high else USB_LOW_MA)

    def complaint(self) -> str | None:
        """Return what the owner should do about heat or voltage. It changes only if an alarm begins or ends."""
        problems = []
        if self._heat.update(self.temperature_c()):
            problems.append(f"the board is {HOT_C:.0f} °C hot or hotter and slows down: give it air")
        if self.undervoltage():
            problems.append(
                "the board got too little voltage within the last 5 minutes: use the power supply that is made for it, "
                "and a shorter cable"
            )
        return "; ".join(problems) or None

    def _number(self, folder: str, labels: str, label: str, name: str) -> int | None:
        """Read the number `name` beside the file among `labels` that holds `label`.

        Numbers of devices differ from start to start, and a driver may be loaded later than this starts.
        """
        for path in () if label in self._found else (self._sysfs / folder).glob(labels):
            if _holds(path, label):
                self._found[label] = path.parent
        try:
            return int((self._found[label] / name).read_text())
        except (KeyError, OSError, ValueError):
            self._found.pop(label, None)
            return None

    def _property(self, name: str) -> int | None:
        """Read a number that the firmware left in the device tree; /proc/device-tree leads to the same place."""
        try:
            data = (self._sysfs / "firmware/devicetree/base/chosen/power" / name).read_bytes()
        except OSError:
            return None
        return int.from_bytes(data, "big") if len(data) == 4 else None


def _holds(path: Path, label: str) -> bool:
    try:
        return path.read_text().strip() == label
    except OSError:  # a device that has just gone
        return False
