"""Whatever TOML lies on the boot partition, the recorder starts, and films unless it may name a switch.

MISSED_MOMENT_SETTINGS sets how many files are tried; `make prove` tries 10,000.
"""

import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from missed_moment import clock
from missed_moment.board import Board
from missed_moment.config import parse
from missed_moment.durable import LocalDisk
from missed_moment.health import Fault
from missed_moment.packets import VideoFormat, VideoPacket
from missed_moment.services.recorder import Recorder
from rig import SMALL, film, wait_for
from toml_files import toml_files

FILES = int(os.environ.get("MISSED_MOMENT_SETTINGS", "200"))


class Still:
    """A camera that takes one picture."""

    name = "still"

    def start(self, sink: Callable[[VideoPacket], None]) -> VideoFormat:
        sink(film(1, clock.monotonic_ns())[0])
        return SMALL

    def stop(self) -> None:
        """Nothing to stop."""


@pytest.mark.timeout(60 + FILES)
@settings(max_examples=FILES, suppress_health_check=list(HealthCheck))
@given(toml_files)
def test_the_recorder_starts_and_films(text: str) -> None:
    loaded = parse(text)
    threads = threading.active_count()
    with tempfile.TemporaryDirectory() as store:
        recorder = Recorder(loaded, Still(), None, Path(store), LocalDisk(), Board(), lambda _: None)
        recorder.start()
        try:
            assert recorder.wait_settled(30)
            assert threading.active_count() > threads
            wait_for(lambda: recorder.ring.state().pictures > 0 or not loaded.camera_allowed)
            assert recorder.status().state != "off" or not loaded.camera_allowed
        finally:
            assert recorder.stop(30)
    problems = recorder.health.faults().get(Fault.SETTINGS, "")
    assert [line for line in problems.split("\n") if line] == list(loaded.problems)
