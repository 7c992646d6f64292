"""After a minute, a day and a week, whatever happens to the sound: it is where the picture is."""

from pathlib import Path

import numpy as np
import pytest

from sound_rig import offsets_ms
from uptime import BEFORE_S, DAY_7, FAULTS, HOUR_24, MINUTE_1, Uptime

LOST_S = {"overrun": 3.3, "unplugged, replugged": 6.0}
"""How much of a minute there is no sound."""


@pytest.mark.parametrize("ppm", [0, 200, -200])
@pytest.mark.parametrize("fault", FAULTS)
def test_sound_is_where_the_picture_is(fault: str, ppm: float, tmp_path: Path) -> None:
    device = Uptime(ppm)
    for at_s in (MINUTE_1, HOUR_24, DAY_7):
        apart_ms = np.abs(offsets_ms(device.press(at_s, FAULTS[fault], tmp_path / str(at_s))))
        assert len(apart_ms) >= BEFORE_S - 2 - LOST_S.get(fault, 0)
        assert np.percentile(apart_ms, 95) <= 20
        assert apart_ms.max() <= 40
