"""From RTMP timestamps to the broadcast's media time. Pure.

RTMP counts milliseconds in 32 bits, shared by audio and video. Here they are unwrapped by signed difference, so 2^31
and 2^32 are nothing special, and shifted onto the broadcast's clock, which rises through all of its connections.
"""

from __future__ import annotations

from onair_core.playback.renditions import Rendition

# A step of one track that is no longer its next frame: an encoder that was suspended, or whose clock was set.
FORWARD_JUMP_MS = 3000
BACKWARD_JUMP_MS = 500
# After a jump the other track may still bring frames from before it, for as long as encoders interleave.
STRAGGLERS = 100


class Unwrapper:
    """32-bit counters to 64 bits, each by its signed distance to the one before."""

    def __init__(self) -> None:
        self._last: int | None = None

    def unwrap(self, timestamp: int) -> int:
        """Milliseconds that never wrap; may be negative when the first ones are out of order."""
        if self._last is None:
            self._last = timestamp
            return timestamp
        step = (timestamp - self._last) & 0xFFFFFFFF
        if step & 0x80000000:
            step -= 0x100000000
        self._last += step
        return self._last


class MediaClock:
    """Maps unwrapped milliseconds to media time (milliseconds since the broadcast began)."""

    def __init__(self) -> None:
        self._offset: int | None = None
        self._before_jump = 0
        self._stragglers = 0
        self._start = 0
        self._newest = 0  # of any track
        self._last: dict[Rendition, int] = {}

    def start(self, raw: int, media: int) -> None:
        """From here on `raw` is `media`."""
        if self._offset is not None:
            self._before_jump, self._stragglers = self._offset, STRAGGLERS
        self._offset = media - raw
        self._start = self._newest = media
        self._last = {}

    def place(self, rendition: Rendition, raw: int) -> int | None:
        """Media time of a frame. None: it jumped, and the clock has to be started anew for it.

        Forwards it is judged by the newest frame of any track, so that one that was silent may come back; backwards
        by its own.
        """
        offset = self._offset
        if offset is None:
            return raw
        media = raw + offset
        newest = self._newest
        if media > newest + FORWARD_JUMP_MS or media < self._last.get(rendition, self._start) - BACKWARD_JUMP_MS:
            return None
        self._last[rendition] = media
        if media > newest:
            self._newest = media
        return media

    def is_straggler(self, rendition: Rendition, raw: int, media_end: int) -> bool:
        """Whether a frame belongs to the time before the last jump, and came late."""
        if not self._stragglers:
            return False
        self._stragglers -= 1
        return abs(raw + self._before_jump - media_end) <= FORWARD_JUMP_MS < abs(raw + (self._offset or 0) - media_end)


class SampleClock:
    """Audio on its own, exact clock: frames follow each other by their number of samples.

    RTMP's milliseconds are too coarse for that (a frame at 48 kHz is 21.33 ms), and encoders jitter. The count follows
    the timestamps only when they are `TOLERANCE_MS` apart: a gap makes it jump forwards, too many frames are dropped.
    """

    TOLERANCE_MS = 60

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._tolerance = sample_rate * self.TOLERANCE_MS // 1000
        self._next: int | None = None

    def place(self, media: int, samples: int, nanoseconds: int = 0) -> int | None:
        """Decode time, in samples, of a frame of `samples` that is stamped `media` ms and `nanoseconds`.

        None: drop it.
        """
        ideal = (media * 1_000_000 + nanoseconds) * self._rate // 1_000_000_000
        if self._next is None or ideal > self._next + self._tolerance:
            self._next = ideal
        elif ideal < self._next - self._tolerance:
            return None
        dts = self._next
        self._next += samples
        return dts

    def forget(self) -> None:
        """The next frame begins a new count."""
        self._next = None
