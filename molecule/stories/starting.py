"""What the stories of a start have in common."""

from collections.abc import Callable

Run = Callable[..., str]
"""Runs a command on the device, and returns what it wrote."""
_RECORDER = "missed-moment.service"
_ASKS_FOR_THE_NETWORK = "missed-moment-network.service"
_PATIENCE_S = 8.0
"""The recorder waits so long for a camera that is absent."""
_ROUNDED_S = 0.05
"""The status rounds to tenths of a second, and ready comes milliseconds after the first frame."""


def reached_s(run: Run, unit: str) -> float:
    """Return when a unit became active, in seconds after power-on."""
    return _since_power_on_s(run, "ActiveEnterTimestampMonotonic", unit)


def began_s(run: Run, unit: str) -> float:
    """Return when systemd began to start a unit, whatever came of it, in seconds after power-on."""
    return _since_power_on_s(run, "InactiveExitTimestampMonotonic", unit)


def _since_power_on_s(run: Run, what: str, unit: str) -> float:
    seconds = int(run("systemctl", "show", f"--property={what}", "--value", unit)) / 1e6
    assert seconds > 0, f"{unit} was never started"  # noqa: S101 - stories end in here
    return seconds


def films_before_all_is_there(first_s: float, run: Run, camera_was_late: bool = False) -> None:
    """Hold the first frame, so many seconds after power-on, against the start of the units around it.

    The recorder reports that it is ready once it films, and the network, which the owner may have turned on, is not
    even asked for before that: its service runs a Python program, which would hold the camera up on a small board.

    Where the camera was late (its driver was loaded so long after the recorder's start that its absence was shown),
    nothing waits for it longer than that.

    That multi-user.target comes later proves nothing: it waits for the recorder whatever the recorder does.
    """
    began, ready, network = began_s(run, _RECORDER), reached_s(run, _RECORDER), began_s(run, _ASKS_FOR_THE_NETWORK)
    settled_s = (began + _PATIENCE_S if camera_was_late else first_s) - _ROUNDED_S
    for what, at_s, right in (
        ("the recorder was started", began, began < first_s + _ROUNDED_S),
        ("the recorder was ready", ready, settled_s < ready),
        ("the network was asked for", network, settled_s < network),
    ):
        assert right, f"{what} after {at_s:.2f} s, and the first frame came after {first_s:.1f} s"  # noqa: S101
    all_s = reached_s(run, "multi-user.target")
    print(f"first frame after {first_s:.1f} s, multi-user.target after {all_s:.1f} s: {first_s / all_s:.0%}")
