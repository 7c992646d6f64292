"""What the board tells of itself, from sysfs. A computer that is no Raspberry Pi tells less."""

from pathlib import Path

HOT_C = 80.0
"""From here on a Raspberry Pi slows itself down (soft limit at 80 to 85 degrees)."""
UNDER_VOLTAGE_NOW = 0x1
"""Bit of `throttled`: raspberrypi.com, "get_throttled"."""


class Board:
    """Reads below `sysfs`, which tests may put elsewhere."""

    def __init__(self, sysfs: Path = Path("/sys")) -> None:
        self._temperature = sysfs / "class/thermal/thermal_zone0/temp"
        self._throttled = sysfs / "devices/platform/soc/soc:firmware/get_throttled"

    def temperature_c(self) -> float | None:
        """Temperature of the processor in degrees Celsius, None where it is not told."""
        try:
            return int(self._temperature.read_text()) / 1000
        except (OSError, ValueError):
            return None

    def throttled(self) -> int | None:
        """The firmware's bits for under-voltage and throttling, None where they are not told."""
        try:
            return int(self._throttled.read_text(), 16)
        except (OSError, ValueError):
            return None

    def complaint(self) -> str | None:
        """Say what the owner should know: too hot, or too little voltage."""
        temperature = self.temperature_c()
        if temperature is not None and temperature >= HOT_C:
            return f"the board is {temperature:.0f} °C hot and slows down: give it air"
        if (self.throttled() or 0) & UNDER_VOLTAGE_NOW:
            return "the board gets too little voltage: use a stronger power supply or a shorter cable"
        return None
