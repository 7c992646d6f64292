"""Real picamera2 on real libcamera: molecule/machines/picamera2_rung.py runs this where both can be had."""

import pytest
import shims

SENSOR = shims.Sensor()

shims.encode_as_a_pi_5()
shims.take_nv12_for_yuv420()
shims.take_video_modes_for_raw_modes()
shims.allocate_with(shims.MemoryAllocator)
SENSOR.pace()
SENSOR.paint()


@pytest.fixture
def sensor() -> shims.Sensor:
    return SENSOR
