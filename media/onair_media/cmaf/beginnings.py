"""What each picture is, and with which a decoder begins after a break: what it cannot show is left out.

The pictures that lead a CRA and refer to the GOP before it (RASL) have nothing to refer to where that GOP is missing or
another one. A decoder that begins there leaves them out by itself (H.265 8.1.3, NoRaslOutputFlag). One that is running,
as a player's is across most discontinuities, would show them broken, and count the order of pictures on from what it
had. So the CRA becomes a BLA, and its RASL pictures are dropped.

H.264 names no leading pictures, and has no BLA: those are dropped that are shown before the recovery point they follow.
"""

from __future__ import annotations

import math
from collections import Counter

from onair_media.flv import Picture, VideoCodec, VideoFrame, as_broken_link, picture_of, units_in

DROPPED = "leading pictures without their GOP"

_RASL, _RECOVERY = Picture.RASL, Picture.RECOVERY  # looked up for every picture: enumerations are slow


class Beginnings:
    """One broadcast's. `dropped` counts, by reason."""

    def __init__(self, dropped: Counter[str]) -> None:
        self._dropped = dropped
        self._codec: VideoCodec = "avc"
        self._nal_length = 0
        self._break = True
        self._rasl_are_whole = False
        self._shown_from = -math.inf  # what is shown earlier needs what a break took away

    def configure(self, codec: VideoCodec, nal_length: int) -> None:
        """Of the pictures that follow, whatever their tags say. `nal_length`: bytes of the lengths before NAL units."""
        self._codec, self._nal_length = codec, nal_length

    def recognise(self, frame: VideoFrame) -> bool:
        """Tells the frame what it is; False: it was dropped."""
        units = units_in(frame.data, self._nal_length) if self._nal_length else []
        if units is None:
            self._dropped["NAL units that do not fit their frame"] += 1
            return False
        frame.picture = picture_of(frame, self._codec, units)
        return True

    def break_here(self) -> None:
        """The next key frame has nothing before it that it belongs to."""
        self._break = True

    def take(self, frame: VideoFrame, shown: int) -> tuple[Picture, bytes | memoryview] | None:
        """What the next recognised picture in decode order is now, and its data; None: it was dropped.

        `shown`: at how many milliseconds of media time.
        """
        picture = frame.picture
        data: bytes | memoryview = frame.data
        if picture >= _RECOVERY:
            # RASL pictures follow a CRA or a BLA; after a BLA they are never whole.
            self._rasl_are_whole = picture is not Picture.KEY and not self._break
            self._shown_from = shown if self._break and picture is Picture.RECOVERY else -math.inf
            if picture is Picture.CRA and self._break:
                picture, data = Picture.KEY, as_broken_link(frame.data, self._nal_length)
            self._break = False
        elif shown < self._shown_from or (picture is _RASL and not self._rasl_are_whole):
            self._dropped[DROPPED] += 1
            return None
        return picture, data
