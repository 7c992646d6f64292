"""From H.264 as encoders send it (Annex B, start codes) to H.264 as MP4 holds it (lengths, avcC).

Clause numbers are those of ITU-T H.264 (Annex B) and ISO/IEC 14496-15 (avcC).
"""

import struct
from dataclasses import dataclass

from missed_moment.errors import BitstreamError
from missed_moment.packets import VideoPacket
from missed_moment.sps import Sequence, parse_sps

SPS, PPS, ACCESS_UNIT_DELIMITER, FILLER = 7, 8, 9, 12
"""The nal_unit_type values that matter here (H.264 table 7-1)."""

_HIGH_PROFILES = frozenset({100, 110, 122, 144})
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class ParameterSets:
    """What a decoder must know before the first picture: one SPS and its PPSs, as the stream itself has them."""

    sps: bytes
    pps: tuple[bytes, ...]

    @classmethod
    def find(cls, keyframe: VideoPacket) -> "ParameterSets":
        """Read them from a keyframe.

        Raises BitstreamError where there are none: such a clip could not be decoded anywhere.
        """
        data = keyframe.data
        kinds = [(data[begin] & 0x1F, begin, end) for begin, end in keyframe.nals if end > begin]
        sps = [data[begin:end] for kind, begin, end in kinds if kind == SPS]
        pps = [data[begin:end] for kind, begin, end in kinds if kind == PPS]
        if not sps or not pps or len(sps[0]) < 4:
            raise BitstreamError(
                "the keyframe carries no SPS and PPS, so that no clip could be decoded: "
                "set the encoder to repeat its headers before each keyframe"
            )
        return cls(sps[0], tuple(dict.fromkeys(pps)))

    def sequence(self) -> Sequence | None:
        """Return size and colour description of the frames; None if the SPS cannot be parsed."""
        try:
            return parse_sps(self.sps)
        except BitstreamError:
            return None

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

    def strip(self, packet: VideoPacket) -> list[bytes | memoryview]:
        """Return a picture as MP4 stores it: length, NAL, length, NAL, ... as buffers to be written in a row.

        What avcC already says is left out, and so are delimiters and filler. Parameter sets that differ stay in band.
        That is for streams that bring more PPSs later: once other sets replaced those of avcC, the same clip cannot go
        on (see `clips.parts`).
        """
        buffers: list[bytes | memoryview] = []
        data = packet.data
        view = memoryview(data)
        for begin, end in packet.nals:
            kind = data[begin] & 0x1F if end > begin else FILLER
            if kind in {ACCESS_UNIT_DELIMITER, FILLER} or (kind in {SPS, PPS} and self._has(data[begin:end])):
                continue
            buffers += (_LENGTH.pack(end - begin), view[begin:end])
        return buffers

    def _has(self, nal: bytes) -> bool:
        return nal == self.sps or nal in self.pps
