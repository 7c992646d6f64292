"""An hour of a Zero 2 W with default settings: presses, sticks, a hostile one; no frame is lost, nothing is killed."""

import base64
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from machines import sticks
from machines.hostile_images import vfat_with_a_million
from machines.sticks import Stick
from machines.virtual_device import VirtualDevice
from stories.filling import plug_until_solid

HOUR_S = float(os.environ.get("MISSED_MOMENT_SMALL_BOARD_S", "3600"))
PRESSES, EXPORTS = 20, 5
FPS, SIZE, BITRATE, SECONDS = 30, (1280, 720), 6_000_000, 10
MEMORY_KB = 416 << 10
_HEAD = struct.Struct("<I?")
_CHUNK = 1 << 19
_PLACE = "/run/virtual-board/replay"
_DEFAULTS = {
    ("video", "width"): SIZE[0],
    ("video", "height"): SIZE[1],
    ("video", "fps"): FPS,
    ("video", "bitrate_mbps"): BITRATE / 1e6,
    ("moment", "before_s"): 60,
    ("moment", "after_s"): 5,
}
_REPLAY = f"""
mkdir -p {_PLACE} /run/systemd/system/missed-moment.service.d
cat >{_PLACE}/sitecustomize.py
cat >/run/systemd/system/missed-moment.service.d/replay.conf <<'END'
[Service]
Environment=PYTHONPATH={_PLACE}
BindReadOnlyPaths={_PLACE}
ExecStart=
ExecStart=/usr/local/bin/missed-moment run --camera synthetic
END
systemctl daemon-reload
systemctl restart missed-moment.service
"""
_PEAK = r"""
pid=$(systemctl show --property=MainPID --value missed-moment.service)
echo "pid: $pid"
grep -E '^(VmHWM|VmRSS|VmLck)' "/proc/$pid/status"
grep -E '^Mem(Total|Available)' /proc/meminfo
"""


def test_an_hour_on_the_smallest_board() -> None:
    """With the ring of the default settings, in the memory of a Zero 2 W."""
    with VirtualDevice(disk_mb=8192) as device:
        device.until_it_records(240)
        _film_a_recorded_stream(device)
        device.wait_until(lambda: device.state() == "recording", 240, "it records with the default settings")
        begin = _process(device)
        began, least_kb = device.now(), MEMORY_KB
        assert int(begin["MemTotal"]) <= MEMORY_KB
        for turn in range(PRESSES):
            _wait_for(device, began + (turn + 1) * HOUR_S / (PRESSES + 1))
            _press_and_keep(device)
            if turn % (PRESSES // EXPORTS) == PRESSES // EXPORTS - 1:
                stick = Stick(device.place / f"stick{turn}", sticks.LARGE)
                device.pull(plug_until_solid(device, stick))
                assert all(moment["exported"] for moment in device.moments())
            if turn == PRESSES // 2:
                _plug_a_hostile_stick(device)
            least_kb = min(least_kb, int(_process(device)["MemAvailable"]))
        _wait_for(device, began + HOUR_S)

        end, status = _process(device), device.status()
        peak_mb, frames = int(end["VmHWM"]) >> 10, status["frames"]
        print(f"peak of the recorder {peak_mb} MB, least available {least_kb >> 10} MB: {frames}")
        assert end["pid"] == begin["pid"], "the recorder was restarted"
        assert status["frames"]["lost"] == 0
        assert status["frames"]["seen"] >= FPS * HOUR_S * 0.99
        assert status["faults"] == {}
        assert "Out of memory" not in device.run("dmesg")
        assert len(device.moments()) == PRESSES
        for moment in device.moments():
            device.run("missed-moment", "check", moment["clip"], timeout_s=600)


def _film_a_recorded_stream(device: VirtualDevice) -> None:
    stream = _recorded()
    for begin in range(0, len(stream), _CHUNK):
        text = base64.b64encode(stream[begin : begin + _CHUNK]).decode()
        device.guest.run("sh", "-c", "base64 -d >>/data/stream", stdin=text)
    device.run("chmod", "644", "/data/stream")
    for (table, key), value in _DEFAULTS.items():
        device.write_setting(table, key, value)
    replay = Path(__file__).parents[1] / "machines" / "board" / "replay.py"
    device.guest.run("sh", "-euc", _REPLAY, stdin=replay.read_text())


def _recorded() -> bytes:
    """Encode noise at the default bit rate: what a camera sees where everything moves."""
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = SIZE
    context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, FPS), Fraction(FPS)
    context.bit_rate, context.gop_size, context.max_b_frames = BITRATE, FPS, 0
    limits = {"nal-hrd": "cbr", "maxrate": str(BITRATE), "minrate": str(BITRATE), "bufsize": str(BITRATE // 2)}
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1", **limits}
    noise = np.random.default_rng(1)
    small = noise.integers(0, 255, (SECONDS * FPS, SIZE[1] // 8, SIZE[0] // 8), dtype=np.uint8)
    stream = bytearray()
    for number in range(SECONDS * FPS + 1):
        frame = None
        if number < SECONDS * FPS:
            luma = np.kron(small[number], np.ones((8, 8), dtype=np.uint8))
            planes = np.concatenate((luma, np.full((SIZE[1] // 2, SIZE[0]), 128, dtype=np.uint8)))
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
        for packet in context.encode(frame):
            stream += _HEAD.pack(packet.size, packet.is_keyframe) + bytes(packet)
    return bytes(stream)


def _press_and_keep(device: VirtualDevice) -> None:
    before = len(device.moments())
    device.press()
    device.wait_until(lambda: len(device.moments()) == before + 1, 240, "the moment is finished")


def _plug_a_hostile_stick(device: VirtualDevice) -> None:
    image = device.place / "hostile"
    vfat_with_a_million(image)
    before = device.now()
    port = device.plug(image)
    device.wait_until(
        lambda: device.led_names(before)[-1:] in (["solid"], ["fault 4"]), 900, "the LED says how it ended"
    )
    device.pull(port)
    device.wait_for_led("recording", before, 120)


def _wait_for(device: VirtualDevice, at_s: float) -> None:
    device.wait_until(lambda: device.now() >= at_s, max(1.0, 2 * (at_s - device.now())), f"{at_s:.0f} s are over")


def _process(device: VirtualDevice) -> dict[str, str]:
    lines = device.run("sh", "-c", _PEAK).splitlines()
    values = {name: rest.split()[0] for name, rest in (line.split(":") for line in lines)}
    return values | {
        "pid": device.run("systemctl", "show", "--property=MainPID", "--value", "missed-moment.service").strip()
    }
