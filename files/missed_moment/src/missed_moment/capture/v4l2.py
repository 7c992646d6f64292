"""The capabilities of a Video4Linux node: which nodes are cameras that film by themselves.

Constants and the layout of `struct v4l2_capability` are those of the kernel's include/uapi/linux/videodev2.h.
"""

import fcntl
import os
import struct
from pathlib import Path
from typing import NamedTuple

_QUERYCAP = 0x80685600  # _IOR('V', 0, struct v4l2_capability), 104 bytes
_CAPABILITY = struct.Struct("=16s32s32sIII12x")  # driver, card, bus_info, version, capabilities, device_caps

VIDEO_CAPTURE, VIDEO_CAPTURE_MPLANE = 0x1, 0x1000
VIDEO_M2M_MPLANE, VIDEO_M2M = 0x4000, 0x8000
META_CAPTURE = 0x800000
STREAMING = 0x4000000
IO_MC = 0x20000000
DEVICE_CAPS = 0x80000000

_PIPELINE_DRIVERS = frozenset({"unicam", "rp1-cfe", "bcm2835-isp", "pispbe"})
"""Drivers of a Raspberry Pi's camera pipeline: their nodes capture raw frames, or only what was put into the ISP.

Not all of their nodes have IO_MC (bcm2835-isp has not, unicam has it only with the media controller API).
"""


class Capability(NamedTuple):
    """The answer to VIDIOC_QUERYCAP: the driver's name, the device's name, and what this node can do."""

    driver: str
    card: str
    node: int

    @property
    def films(self) -> bool:
        """Whether frames come out of the node without anything else being set up.

        libavdevice reads single-planar capture nodes only. Codecs are memory-to-memory, a webcam's second node
        carries metadata, and IO_MC marks a part of a pipeline that libcamera has to configure.
        """
        unfit = VIDEO_M2M | VIDEO_M2M_MPLANE | IO_MC
        return bool(self.node & VIDEO_CAPTURE and not self.node & unfit) and self.driver not in _PIPELINE_DRIVERS


def query(path: Path) -> Capability:
    """Ask a node. Raises OSError; may block on broken hardware."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY.size))
    finally:
        os.close(descriptor)
    driver, card, _, _, device, node = _CAPABILITY.unpack(answer)
    return Capability(_text(driver), _text(card), node if device & DEVICE_CAPS else device)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="replace")
