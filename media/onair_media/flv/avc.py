"""H.264: its configuration, `avcC` (ISO/IEC 14496-15, 5.3.3.1), the sequence parameter set in that (H.264 7.3.2.1), and
recovery points.
"""

from __future__ import annotations

from onair_media.flv.bits import BitReader
from onair_media.flv.errors import MediaError
from onair_media.flv.info import VideoInfo

_BAD_RECORD = "bad AVC configuration"
_BAD_SPS = "bad H.264 parameter set"
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_EXTENDED_SAR = 255
_MAX_SIDE = 16_384
# MaxFS of level 6.2 (H.264 A.3.1): 139 264 macroblocks, 8192×4352. More only costs a decoder a second.
_MAX_PIXELS = 139_264 * 256
_MAX_FRAME_RATE = 1000.0
_RECOVERY_POINT = 6
# Of supplemental information: a picture has a few messages of it, the longest are captions.
_MAX_MESSAGES, _MAX_SEI_BYTES = 32, 4096


def parse_config(record: bytes) -> VideoInfo:
    """Reads an AVCDecoderConfigurationRecord. Raises `MediaError`."""
    if len(record) < 7 or record[0] != 1:
        raise MediaError(_BAD_RECORD)
    if record[4] & 3 == 2:  # lengths of three bytes do not exist
        raise MediaError(_BAD_RECORD)
    sets = _parameter_sets(record)
    sps = sets[0]
    width, height, frame_rate = _parse_sps(sps)
    return VideoInfo(f"avc1.{sps[1:4].hex()}", width, height, frame_rate, nal_length=(record[4] & 3) + 1)


def _parameter_sets(record: bytes) -> list[bytes]:
    """The SPSs; that there are PPSs behind them is checked too."""
    found: list[bytes] = []
    at = 6
    count = record[5] & 0x1F
    for kind in ("sps", "pps"):
        if kind == "pps":
            if at >= len(record):
                raise MediaError(_BAD_RECORD)
            count = record[at]
            at += 1
        if count == 0:
            raise MediaError(_BAD_RECORD)
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            at += 2
            if size < 1 or at + size > len(record) or (kind == "sps" and size < 4):
                raise MediaError(_BAD_RECORD)
            if kind == "sps":
                found.append(record[at : at + size])
            at += size
    return found


def _parse_sps(sps: bytes) -> tuple[int, int, float | None]:
    if sps[0] & 0x1F != 7:
        raise MediaError(_BAD_SPS)
    reader = BitReader(sps[1:].replace(b"\0\0\3", b"\0\0"), _BAD_SPS)
    profile = reader.bits(8)
    reader.bits(16)
    reader.ue()
    chroma, separate_planes = 1, False
    if profile in _HIGH_PROFILES:
        chroma = reader.ue()
        if chroma > 3:
            raise MediaError(_BAD_SPS)
        if chroma == 3:
            separate_planes = reader.flag()
        reader.ue()
        reader.ue()
        reader.flag()
        if reader.flag():
            for index in range(12 if chroma == 3 else 8):
                if reader.flag():
                    _skip_scaling_list(reader, 16 if index < 6 else 64)
    reader.ue()
    order_type = reader.ue()
    if order_type == 0:
        reader.ue()
    elif order_type == 1:
        reader.flag()
        reader.se()
        reader.se()
        cycle = reader.ue()
        if cycle > 255:
            raise MediaError(_BAD_SPS)
        for _ in range(cycle):
            reader.se()
    elif order_type > 2:
        raise MediaError(_BAD_SPS)
    reader.ue()
    reader.flag()
    width = (reader.ue() + 1) * 16
    height = (reader.ue() + 1) * 16
    frames_only = reader.flag()
    if not frames_only:
        height *= 2
        reader.flag()
    reader.flag()
    if reader.flag():
        left, right, top, bottom = (reader.ue() for _ in range(4))
        unit_x = 1 if chroma in (0, 3) or separate_planes else 2
        unit_y = (2 if chroma == 1 and not separate_planes else 1) * (1 if frames_only else 2)
        width -= (left + right) * unit_x
        height -= (top + bottom) * unit_y
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE) or width * height > _MAX_PIXELS:
        raise MediaError(_BAD_SPS)
    try:
        frame_rate = _frame_rate(reader) if reader.flag() else None
    except MediaError:
        frame_rate = None  # the picture is known; a broken VUI is not worth losing a stream for
    return width, height, frame_rate


def _frame_rate(vui: BitReader) -> float | None:
    """Frames a second from the VUI (H.264 E.1.1), if it says so."""
    if vui.flag() and vui.bits(8) == _EXTENDED_SAR:
        vui.bits(32)
    if vui.flag():
        vui.flag()
    if vui.flag():
        vui.bits(4)
        if vui.flag():
            vui.bits(24)
    if vui.flag():
        vui.ue()
        vui.ue()
    if not vui.flag():
        return None
    units, scale = vui.bits(32), vui.bits(32)
    if not units:
        return None
    rate = scale / (2 * units)
    return rate if 1.0 <= rate <= _MAX_FRAME_RATE else None


def _skip_scaling_list(reader: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + reader.se()) % 256
        last = following or last


def recovers_at_once(sei: memoryview) -> bool:
    """Whether supplemental information (a NAL unit without its first byte) says that all is right from this picture on,
    in the order of showing: a recovery point after no frames (H.264 7.3.2.3.1, D.1.8).
    """
    data = bytes(sei[:_MAX_SEI_BYTES])
    if _RECOVERY_POINT not in data:  # most pictures have some other information
        return False
    data, at = data.replace(b"\0\0\3", b"\0\0"), 0
    for _ in range(_MAX_MESSAGES):
        kind, at = _in_bytes(data, at)
        size, at = _in_bytes(data, at)
        if at >= len(data):
            return False
        if kind == _RECOVERY_POINT:
            return data[at] >= 0x80  # ue(v): 0
        at += size
    return False


def _in_bytes(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends: bytes are added up to the first that is not 255."""
    value = 0
    while at < len(data):
        value += data[at]
        at += 1
        if data[at - 1] != 255:
            break
    return value, at
