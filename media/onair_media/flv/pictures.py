"""Where a decoder can begin: what a coded picture is to those around it (H.264 7.4.1, H.265 7.4.2.2).

An encoder with open GOPs begins them with a picture that is complete in itself, but is followed, in decode order, by
pictures that are shown before it and refer to the GOP before. HEVC names them in the NAL unit type: CRA and RASL. H.264
names neither; there the only certain beginning is an IDR.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from onair_media.flv.nal import MAX_UNITS

if TYPE_CHECKING:
    from onair_media.flv.units import VideoCodec, VideoFrame

_AVC_SLICES, _AVC_IDR = range(1, 6), 5
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
    """The publisher calls it a key frame, and it is no IDR: what follows may need pictures before it."""
    CRA = 4
    """Nothing that follows needs pictures before it, but for RASL pictures, where there are any."""
    KEY = 5
    """Nothing that follows needs anything before it: IDR, BLA, the key frames of AV1 and VP9, any frame of sound."""


def picture_of(frame: VideoFrame, codec: VideoCodec, nal_length: int) -> Picture:
    """What a frame is. `codec`: that of its configuration, whatever its tag says; `nal_length`: bytes of the lengths
    before NAL units.

    The NAL unit type decides for HEVC. For the others only what the publisher calls a key frame is one.
    """
    if codec == "hevc":
        return _hevc(_first_slice(frame.data, nal_length, hevc=True), keyframe=frame.keyframe)
    if not frame.keyframe:
        return Picture.DELTA
    if codec == "avc" and _first_slice(frame.data, nal_length, hevc=False) != _AVC_IDR:
        return Picture.RECOVERY
    return Picture.KEY


def _hevc(kind: int | None, *, keyframe: bool) -> Picture:
    if kind == _CRA:
        return Picture.CRA
    if kind in _HEVC_IRAP:
        return Picture.KEY
    if kind in _RASL:
        return Picture.RASL
    if kind in _RADL:
        return Picture.RADL
    return Picture.RECOVERY if keyframe else Picture.DELTA


def _first_slice(data: memoryview, nal_length: int, *, hevc: bool) -> int | None:
    """NAL unit type of the first slice; all slices of a picture have the same."""
    at, end = 0, len(data)
    for _ in range(MAX_UNITS):
        size = int.from_bytes(data[at : at + nal_length], "big")
        at += nal_length
        if at >= end or not size:
            return None
        kind = (data[at] & _TYPE_MASK) >> 1 if hevc else data[at] & 0x1F
        if kind in (_HEVC_SLICES if hevc else _AVC_SLICES):
            return kind
        at += size
    return None


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
