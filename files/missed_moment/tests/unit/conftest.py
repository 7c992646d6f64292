"""What every unit test stands on."""

import pytest
from hypothesis import settings

from missed_moment import clock

# How long an example takes says more about what else this machine does.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def uncertain_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's usual case, whatever the clock of this machine: files are named by number, not by date."""
    monkeypatch.setattr(clock, "_kept_right", lambda: False)
