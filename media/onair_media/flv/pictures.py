"""Where a decoder can begin: what a coded picture is to those around it.

The bitstream decides: NAL unit types and recovery points (H.264 7.4.1 and D.2.8, H.265 7.4.2.2), or frame types (AV1
5.9.2, VP9 6.2). What the publisher flags as a key frame beside those may be a beginning, too.

An encoder with open GOPs begins them with a picture that is complete in itself, but is followed, in decode order, by
pictures that are shown before it and refer to the GOP before. HEVC names them in the NAL unit type: CRA and RASL. H.264
has no name for them; there the only certain beginning is an IDR.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

from onair_media.flv import av1, avc, vp9
from onair_media.flv.nal import MAX_UNITS

if TYPE_CHECKING:
    from onair_media.flv.units import VideoCodec, VideoFrame

_AVC_SLICES, _AVC_IDR, _AVC_SEI = range(1, 6), 5, 6
_HEVC_SLICES, _HEVC_IRAP = range(32), range(16, 24)
_RADL, _RASL = (6, 7), (8, 9)
_BLA_W_RADL, _CRA = 17, 21
_TYPE_MASK = 0x7E  # of the first byte of an HEVC NAL unit


class Picture(IntEnum):
    """From `RECOVERY` on, a decoder can begin."""

    DELTA = 0
    """Needs what came before."""
    RADL = 1
    """Shown before the CRA, BLA or IDR that it follows, and needs nothing before that."""
    RASL = 2
    """Shown before the CRA or BLA that it follows, and needs pictures before that."""
    RECOVERY = 3
    """An H.264 recovery point, or what only the publisher calls a key frame: what follows may need pictures before."""
    CRA = 4
    """Nothing that follows needs pictures before it, but for RASL pictures, where there are any."""
    KEY = 5
    """Nothing that follows needs anything before it: IDR, BLA, the key frames of AV1 and VP9, any frame of sound."""


_DELTA, _KEY = Picture.DELTA, Picture.KEY  # looked up for every frame: enumerations are slow


def picture_of(frame: VideoFrame, codec: VideoCodec, units: Sequence[memoryview] = ()) -> Picture:
    """What a frame is. `codec`: that of its configuration, whatever its tag says; `units`: of NAL, if it has any."""
    if codec == "avc":
        picture = _avc(units)
    elif codec == "hevc":
        picture = _hevc(units)
    else:
        is_key = av1.is_key_frame if codec == "av1" else vp9.is_key_frame
        picture = _KEY if is_key(frame.data) else _DELTA
    return Picture.RECOVERY if frame.keyframe and picture is _DELTA else picture


def _avc(units: Sequence[memoryview]) -> Picture:
    """What is said about a picture stands before its slices."""
    recovers = False
    for unit in units:
        kind = unit[0] & 0x1F
        if kind == _AVC_IDR:
            return _KEY
        if kind in _AVC_SLICES:
            break
        recovers = recovers or (kind == _AVC_SEI and avc.recovers_at_once(unit[1:]))
    return Picture.RECOVERY if recovers else _DELTA


def _hevc(units: Sequence[memoryview]) -> Picture:
    """All slices of a picture are of the same type: the first one tells."""
    for unit in units:
        kind = (unit[0] & _TYPE_MASK) >> 1
        if kind == _CRA:
            return Picture.CRA
        if kind in _HEVC_IRAP:
            return _KEY
        if kind in _RASL:
            return Picture.RASL
        if kind in _HEVC_SLICES:
            return Picture.RADL if kind in _RADL else _DELTA
    return _DELTA


def as_broken_link(data: memoryview, nal_length: int) -> bytes:
    """A CRA picture as a BLA picture without RASL, which tells a decoder that is running to begin anew there.

    Their slice headers are the same (H.265 7.3.6.1): splicing streams at a CRA is what BLA is for (H.265 3, "broken
    link access"). Units past the number that any picture has are left as they are.
    """
    changed = bytearray(data)
    at, end = 0, len(changed)
    for _ in range(MAX_UNITS):
        if at + nal_length >= end:
            break
        size = int.from_bytes(changed[at : at + nal_length], "big")
        at += nal_length
        if (changed[at] & _TYPE_MASK) >> 1 == _CRA:
            changed[at] = changed[at] & ~_TYPE_MASK & 0xFF | _BLA_W_RADL << 1
        at += size
    return bytes(changed)
