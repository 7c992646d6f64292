"""What the stories of a start have in common."""

from collections.abc import Callable

Run = Callable[..., str]
"""Runs a command on the device, and returns what it wrote."""


def reached_s(run: Run, unit: str) -> float:
    """Return when a unit became active, in seconds after power-on."""
    said = run("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", unit)
    return int(said) / 1e6


def films_before_all_is_there(first_s: float, run: Run) -> None:
    """Hold the first picture, so many seconds after power-on, against the whole start.

    All that was there to be started has been when multi-user.target is reached.
    """
    all_s = reached_s(run, "multi-user.target")
    assert first_s < all_s  # noqa: S101 - stories end in here
    print(f"first picture after {first_s:.1f} s, multi-user.target after {all_s:.1f} s: {first_s / all_s:.0%}")
