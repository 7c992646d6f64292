"""What the stories of a start have in common."""

from collections.abc import Callable


def films_before_all_is_there(first_s: float, run: Callable[..., str]) -> None:
    """Hold the first picture, so many seconds after power-on, against the whole start, which `run` is asked for.

    All that was there to be started has been when multi-user.target is reached.
    """
    said = run("systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", "multi-user.target")
    reached_s = int(said) / 1e6
    assert first_s < reached_s  # noqa: S101 - stories end in here
    print(f"first picture after {first_s:.1f} s, multi-user.target after {reached_s:.1f} s: {first_s / reached_s:.0%}")
