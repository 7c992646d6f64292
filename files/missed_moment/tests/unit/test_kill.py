"""kill -9 at random instants of saves: what was reported kept is there after the restart, and it plays.

MISSED_MOMENT_KILLS sets how often; `make prove` kills 200 times.
"""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from missed_moment.clips.catalogue import Catalogue
from missed_moment.clips.recovery import recover
from missed_moment.durable import LocalDisk
from rig import assert_whole

STORES = 3  # so that several processors have something to do
KILLS = int(os.environ.get("MISSED_MOMENT_KILLS", "15")) // STORES
TESTS = Path(__file__).parents[1]

# Records without a pause, presses again as soon as it may, and says so on its output when a moment was kept.
PRESSER = """
import sys
from pathlib import Path
from rig import filled_recorder

def kept(order):
    print("kept", order.sequence, flush=True)

with filled_recorder(Path(sys.argv[1]), kept) as recorder:
    while True:
        recorder.press()
        print("pressed", flush=True)
        recorder.wait_saved(60)
"""


def press_and_kill(store: Path, chance: random.Random) -> list[int]:
    """Run a recorder that presses all the time, kill it at random; return the sequences it reported kept."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS.parent / 'src'}:{TESTS}"}
    command = [sys.executable, "-c", PRESSER, str(store)]
    reported: list[int] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        presses = chance.randrange(1, 4)
        for line in process.stdout:
            if line.startswith("kept"):
                reported.append(int(line.split()[1]))
            elif line.startswith("pressed"):
                presses -= 1
                if presses == 0:
                    break
        try:
            process.wait(chance.uniform(0, 0.9))  # a save with its post-roll takes about so long
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        reported += [int(line.split()[1]) for line in process.stdout if line.startswith("kept")]
    assert process.returncode == -signal.SIGKILL
    return reported


@pytest.mark.timeout(60 + 10 * KILLS)
@pytest.mark.parametrize("seed", range(STORES))
def test_what_was_reported_kept_survives(seed: int, tmp_path: Path) -> None:
    chance = random.Random(20161 + seed)
    reported: list[int] = []
    for _ in range(KILLS):
        reported += press_and_kill(tmp_path, chance)
        catalogue = Catalogue(tmp_path, LocalDisk())
        recover(catalogue, "test")
        moments = catalogue.moments()
        assert set(reported) <= {moment.sequence for moment in moments}
        assert catalogue.leftovers() == []
        for moment in moments[-4:]:
            assert len(assert_whole(moment.clip)) >= 30
            moment.info()
    assert len(reported) >= KILLS // 2
