"""A picture that a decoder begins with, after a break: what it cannot show is left out.

The pictures that lead a CRA and refer to the GOP before it (RASL) have nothing to refer to where that GOP is missing or
another one. A decoder that begins there leaves them out by itself (H.265 8.1.3, NoRaslOutputFlag). One that is running,
as a player's is across most discontinuities, would show them broken, and count the order of pictures on from what it
had. So the CRA becomes a BLA, and its RASL pictures are dropped.
"""

from __future__ import annotations

from collections import Counter

from onair_media.flv import Picture, VideoCodec, VideoFrame, as_broken_link, picture_of

DROPPED = "leading pictures without their GOP"


class Beginnings:
    """One broadcast's. `dropped` counts, by reason."""

    def __init__(self, dropped: Counter[str]) -> None:
        self._dropped = dropped
        self._break = True
        self._rasl_are_whole = False

    def break_here(self) -> None:
        """The next key frame has nothing before it that it belongs to."""
        self._break = True

    def take(self, frame: VideoFrame, codec: VideoCodec, nal_length: int) -> tuple[Picture, bytes | memoryview] | None:
        """What the next picture in decode order is, and its data; None: it was dropped."""
        picture = picture_of(frame, codec, nal_length)
        data: bytes | memoryview = frame.data
        if picture is Picture.RASL:
            if not self._rasl_are_whole:
                self._dropped[DROPPED] += 1
                return None
        elif picture >= Picture.RECOVERY:
            # RASL pictures follow a CRA or a BLA; after a BLA they are never whole.
            self._rasl_are_whole = picture is not Picture.KEY and not self._break
            if picture is Picture.CRA and self._break:
                picture, data = Picture.KEY, as_broken_link(frame.data, nal_length)
            self._break = False
        return picture, data
