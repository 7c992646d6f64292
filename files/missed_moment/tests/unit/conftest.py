"""What every unit test stands on."""

import pytest

from missed_moment import clock


@pytest.fixture(autouse=True)
def uncertain_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's usual case, whatever the clock of this machine: files are named by number, not by date."""
    monkeypatch.setattr(clock, "_kept_right", lambda: False)
