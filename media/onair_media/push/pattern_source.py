"""The test pattern as a live source."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import av

from onair_media.push import pattern
from onair_media.push.encode import Paced, VideoSettings, add_audio, add_video

if TYPE_CHECKING:
    from av.container import OutputContainer

_AUDIO_FRAME = 1024


class PatternSource:
    """Colour bars with the wall clock and a beep each second; `title` stands under the clock."""

    def __init__(self, settings: VideoSettings, *, title: str = "", audio_only: bool = False) -> None:
        self._settings = settings
        self._audio_only = audio_only
        self._pattern = pattern.TestPattern(*settings.size, title=title)

    def run(self, container: OutputContainer, wall: float, position: float) -> Paced:
        """See `Source`; where an earlier connection ended does not matter, the clock goes on."""
        settings = self._settings
        fps = Fraction(settings.fps)
        video = None if self._audio_only else add_video(container, settings.size, fps, settings)
        audio = add_audio(container, "mono")
        pictures = sounds = 0
        while True:
            picture_due = pictures / settings.fps
            sound_due = sounds / pattern.SAMPLE_RATE
            if video is not None and picture_due <= sound_due:
                yield picture_due, video.encode(self._picture(wall + picture_due, pictures))
                pictures += 1
            else:
                yield sound_due, audio.encode(_sound(wall + sound_due, sounds))
                sounds += _AUDIO_FRAME

    def _picture(self, wall: float, number: int) -> av.VideoFrame:
        planes = self._pattern.picture(wall)
        frame = av.VideoFrame(*self._settings.size, "yuv420p")
        for plane, data in zip(frame.planes, (planes.luma, planes.cb, planes.cr), strict=True):
            plane.update(_padded(data, plane.width, plane.line_size))
        frame.pts = number
        frame.time_base = Fraction(1, self._settings.fps)
        return frame


def _sound(wall: float, first: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=_AUDIO_FRAME)
    data = pattern.samples(wall, _AUDIO_FRAME)
    plane = frame.planes[0]
    plane.update(data.ljust(plane.buffer_size, b"\0"))
    frame.sample_rate = pattern.SAMPLE_RATE
    frame.pts = first
    frame.time_base = Fraction(1, pattern.SAMPLE_RATE)
    return frame


def _padded(data: bytes, width: int, line_size: int) -> bytes:
    if width == line_size:
        return data
    return b"".join(data[row : row + width].ljust(line_size, b"\0") for row in range(0, len(data), width))
