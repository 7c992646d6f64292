"""A minute of video at 10 Mbit/s, and a camera that plays it."""

import functools
import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import av
import numpy as np

from missed_moment import clock
from missed_moment.capture.encoder import SoftwareEncoder
from missed_moment.clock import NS
from missed_moment.packets import VideoFormat, VideoPacket

VIDEO = VideoFormat(1280, 720, 30)
BITRATE = 10_000_000
BEFORE_S = 60

_ENCODED_S = 5


@functools.cache
def encoded() -> tuple[VideoPacket, ...]:
    """Five seconds, which the film repeats: noise under a slow pan makes an encoder spend its whole bit rate.

    Encoded in another process, so that the encoder's memory is not taken for the ring's.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
        return other.submit(_encode).result()


def _encode() -> tuple[VideoPacket, ...]:
    encoder = SoftwareEncoder(VIDEO, BITRATE)
    noise = np.random.default_rng(1).integers(16, 235, (VIDEO.height * 3 // 2, VIDEO.width * 2)).astype(np.uint8)
    noise[VIDEO.height :] = 128
    packets = []
    for number in range(round(_ENCODED_S * VIDEO.fps)):
        fresh = np.random.default_rng(number).integers(0, 24, (VIDEO.height, VIDEO.width)).astype(np.uint8)
        planes = np.ascontiguousarray(noise[:, number * 4 : number * 4 + VIDEO.width])
        planes[: VIDEO.height] += fresh // 2
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        packets += encoder.encode(frame, round(number * NS / VIDEO.fps))
    return tuple(packets)


def packet(number: int, start_ns: int = 0) -> VideoPacket:
    """Return picture `number` of an endless film; its payload is a copy of its own, as a camera's is."""
    original = encoded()[number % len(encoded())]
    return VideoPacket.of(bytes(bytearray(original.data)), start_ns + round(number * NS / VIDEO.fps), original.keyframe)


def film(seconds: float) -> list[VideoPacket]:
    """Return that many seconds of it."""
    return [packet(number) for number in range(round(seconds * VIDEO.fps))]


class Player:
    """A camera that plays the film in real time and measures how long each callback takes, in nanoseconds."""

    name = "player"

    def __init__(self, prefilled_s: float) -> None:
        """`prefilled_s` of film are there at once, as if the camera had run for that long."""
        self.costs_ns: list[int] = []
        self._prefilled = round(prefilled_s * VIDEO.fps)
        self._stop = threading.Event()
        self._thread = threading.Thread()

    def start(self, sink: Callable[[VideoPacket], None]) -> VideoFormat:
        """Begin to play."""
        packet(0)
        self._thread = threading.Thread(target=self._play, args=(sink,), daemon=True)
        self._thread.start()
        return VIDEO

    def stop(self) -> None:
        """Stop playing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _play(self, sink: Callable[[VideoPacket], None]) -> None:
        start_ns = clock.monotonic_ns() - round(self._prefilled * NS / VIDEO.fps)
        number = 0
        while not self._stop.is_set():
            due = packet(number, start_ns)
            self._stop.wait(max(0.0, (due.pts_ns - clock.monotonic_ns()) / NS))
            before = time.perf_counter_ns()
            sink(due)
            if number >= self._prefilled:
                self.costs_ns.append(time.perf_counter_ns() - before)
            number += 1
