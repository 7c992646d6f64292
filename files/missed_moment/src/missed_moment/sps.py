"""Parses H.264 sequence parameter sets: the size of the frames and their colour description.

Names and clause numbers are those of ITU-T H.264 (7.3.2.1.1, E.1.1). Code points of colours are those of ITU-T H.273.
"""

from typing import NamedTuple

from missed_moment.errors import BitstreamError

UNSPECIFIED = 2
_WITH_CHROMA_FORMAT = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_EXTENDED_SAR = 255
_CHROMA_SHARE = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}  # SubWidthC, SubHeightC (6.2)
_MAX_ZEROS = 32


class Colour(NamedTuple):
    """A colour description: code points of H.273, and whether luma goes from 0 to 255 instead of 16 to 235."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


class Sequence(NamedTuple):
    """Size of the frames in pixels, after cropping; `colour` is None if the SPS has no colour description."""

    width: int
    height: int
    colour: Colour | None


def parse_sps(sps: bytes) -> Sequence:
    """Parse an SPS NAL unit, its header byte included. Raises BitstreamError if it ends too early."""
    try:
        return _parse(_Bits(sps[1:].replace(b"\0\0\3", b"\0\0")))  # emulation_prevention_three_byte (7.4.1)
    except (IndexError, KeyError) as error:
        raise BitstreamError("the SPS of the camera's H.264 is damaged: restart the camera") from error


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def u(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> (7 - (self._at & 7)) & 1
            self._at += 1
        return value

    def ue(self) -> int:
        """Exp-Golomb (9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > _MAX_ZEROS:
                raise IndexError
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _parse(bits: _Bits) -> Sequence:
    profile = bits.u(8)
    bits.u(16)  # constraint flags, level_idc
    bits.ue()  # seq_parameter_set_id
    chroma = 1
    if profile in _WITH_CHROMA_FORMAT:
        chroma = bits.ue()
        if chroma == 3:
            bits.u(1)  # separate_colour_plane_flag
        bits.ue()  # bit_depth_luma_minus8
        bits.ue()  # bit_depth_chroma_minus8
        bits.u(1)  # qpprime_y_zero_transform_bypass_flag
        if bits.u(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()  # log2_max_frame_num_minus4
    order_type = bits.ue()
    if order_type == 0:
        bits.ue()  # log2_max_pic_order_cnt_lsb_minus4
    elif order_type == 1:
        bits.u(1)  # delta_pic_order_always_zero_flag
        bits.se()  # offset_for_non_ref_pic
        bits.se()  # offset_for_top_to_bottom_field
        for _ in range(bits.ue()):
            bits.se()  # offset_for_ref_frame
    bits.ue()  # max_num_ref_frames
    bits.u(1)  # gaps_in_frame_num_value_allowed_flag
    width, map_height = 16 * (bits.ue() + 1), 16 * (bits.ue() + 1)
    fields = 2 - bits.u(1)  # frame_mbs_only_flag
    if fields == 2:
        bits.u(1)  # mb_adaptive_frame_field_flag
    bits.u(1)  # direct_8x8_inference_flag
    left, right, top, bottom = (bits.ue() for _ in range(4)) if bits.u(1) else (0, 0, 0, 0)
    across, down = _CHROMA_SHARE[chroma]
    colour = _colour(bits) if bits.u(1) else None
    return Sequence(width - across * (left + right), fields * (map_height - down * (top + bottom)), colour)


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _colour(bits: _Bits) -> Colour | None:
    """Read the beginning of the VUI."""
    if bits.u(1) and bits.u(8) == _EXTENDED_SAR:
        bits.u(32)  # sar_width, sar_height
    if bits.u(1):
        bits.u(1)  # overscan_appropriate_flag
    if not bits.u(1):
        return None
    bits.u(3)  # video_format
    full_range = bool(bits.u(1))
    described = bits.u(1)
    primaries, transfer, matrix = (bits.u(8) for _ in range(3)) if described else (UNSPECIFIED,) * 3
    return Colour(primaries, transfer, matrix, full_range)
