"""The test pattern: colour bars, a clock with milliseconds, a bar that fills each second, and a beep as it starts.

Pure: pixels and samples as functions of the time they show. Planes are yuv420p, video range; samples are 16-bit mono.
"""

from __future__ import annotations

import math
import time
from array import array
from dataclasses import dataclass

from onair_media.push.font import GLYPH_HEIGHT, render, text_width

SAMPLE_RATE = 48_000
BEEP_SECONDS = 0.08
BEEP_HERTZ = 1000
BEEP_LEVEL = 6000

_PAPER, _INK, _DIM, _TRACK = 20, 235, 150, 48
_NEUTRAL = 128
# Bars of 75 % colour, Rec. 709: (Y, Cb, Cr) of white, yellow, cyan, green, magenta, red, blue.
_BARS = ((180, 128, 128), (168, 44, 136), (145, 147, 44), (133, 63, 52), (63, 193, 204), (51, 109, 212), (28, 212, 120))
_FOOT_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Planes:
    """A yuv420p picture: rows without padding."""

    luma: bytes
    cb: bytes
    cr: bytes


class TestPattern:
    """Pictures of `width` x `height` pixels (both even)."""

    __test__ = False  # a name that pytest would collect

    def __init__(self, width: int, height: int, title: str = "") -> None:
        self.width = width
        self.height = height
        self._scale = max(1, width * 7 // 10 // text_width("00:00:00.000", 1))
        self._small = max(1, self._scale // 3)
        self._panel_width = min(width, text_width("00:00:00.000", self._scale) + 4 * 2 * self._scale) & ~1
        self._panel_height = min(height, (GLYPH_HEIGHT + 10) * self._scale + GLYPH_HEIGHT * self._small) & ~1
        self._left = (width - self._panel_width) // 2 & ~1
        self._top = (height - self._panel_height) // 2 & ~1
        self._clock_top = self._top + 3 * self._scale
        self._track_top = self._clock_top + (GLYPH_HEIGHT + 2) * self._scale
        self._track_height = self._scale
        self._track_width = text_width("00:00:00.000", self._scale)
        self._track_left = (width - self._track_width) // 2
        self._luma, cb, cr = self._background(title)
        self._cb, self._cr = bytes(cb), bytes(cr)

    def picture(self, wall: float) -> Planes:
        """The picture that shows Unix time `wall`, in UTC."""
        luma = bytearray(self._luma)
        self._text(luma, clock_text(wall), self._scale, self._clock_top, _INK)
        filled = round(self._track_width * (wall % 1.0))
        bar = bytes([_INK]) * filled + bytes([_TRACK]) * (self._track_width - filled)
        for row in range(self._track_height):
            self._put(luma, self._track_left, self._track_top + row, bar)
        return Planes(bytes(luma), self._cb, self._cr)

    def _background(self, title: str) -> tuple[bytearray, bytearray, bytearray]:
        foot = int(self.height * (1 - _FOOT_SHARE)) & ~1
        luma = bytearray(_columns([bar[0] for bar in _BARS], self.width) * foot)
        luma += _ramp(self.width) * (self.height - foot)
        chroma = [bytearray(_columns([bar[i] for bar in _BARS], self.width // 2) * (foot // 2)) for i in (1, 2)]
        for plane in chroma:
            plane.extend(bytes([_NEUTRAL]) * (self.width // 2 * ((self.height - foot) // 2)))
        for row in range(self._top, self._top + self._panel_height):
            self._put(luma, self._left, row, bytes([_PAPER]) * self._panel_width)
        for plane in chroma:
            for row in range(self._top // 2, (self._top + self._panel_height) // 2):
                start = row * (self.width // 2) + self._left // 2
                plane[start : start + self._panel_width // 2] = bytes([_NEUTRAL]) * (self._panel_width // 2)
        room = self._panel_width // (text_width("0", self._small) + self._small) - 2
        line = f"{title[: max(room - 6, 0)]}  UTC" if title else "UTC"
        self._text(luma, line, self._small, self._track_top + self._track_height + 2 * self._scale, _DIM)
        return luma, chroma[0], chroma[1]

    def _text(self, luma: bytearray, text: str, scale: int, top: int, ink: int) -> None:
        left = (self.width - text_width(text, scale)) // 2
        for row, pixels in enumerate(render(text, scale, ink, _PAPER)):
            self._put(luma, left, top + row, pixels)

    def _put(self, luma: bytearray, left: int, row: int, pixels: bytes) -> None:
        if 0 <= row < self.height and left >= 0 and left + len(pixels) <= self.width:
            start = row * self.width + left
            luma[start : start + len(pixels)] = pixels


def clock_text(wall: float) -> str:
    """`HH:MM:SS.mmm` of a Unix time, in UTC."""
    milliseconds = int(wall * 1000)
    clock = time.strftime("%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{clock}.{milliseconds % 1000:03d}"


def samples(wall: float, count: int) -> bytes:
    """`count` samples that begin at Unix time `wall`: a beep at the start of each second, else silence."""
    first = round(wall % 1.0 * SAMPLE_RATE)
    return array("h", (_SECOND[(first + i) % SAMPLE_RATE] for i in range(count))).tobytes()


def _one_second() -> array[int]:
    length = int(BEEP_SECONDS * SAMPLE_RATE)
    fade = length // 8

    def level(i: int) -> int:
        envelope = min(1.0, i / fade, (length - i) / fade)
        return round(BEEP_LEVEL * envelope * math.sin(2 * math.pi * BEEP_HERTZ * i / SAMPLE_RATE))

    return array("h", (level(i) if i < length else 0 for i in range(SAMPLE_RATE)))


_SECOND = _one_second()


def _columns(values: list[int], width: int) -> bytes:
    return bytes(values[x * len(values) // width] for x in range(width))


def _ramp(width: int) -> bytes:
    return bytes(16 + 219 * x // max(width - 1, 1) for x in range(width))
