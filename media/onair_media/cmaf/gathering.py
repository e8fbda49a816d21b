"""Frames of a connection that wait until every expected track has its first one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from onair_core.playback.renditions import Rendition
from onair_media.cmaf.timeline import MediaClock
from onair_media.flv import AudioFrame, VideoFrame

# What a frame costs beside its bytes: a flood of tiny ones must reach the limits, too.
FRAME_OVERHEAD = 128


@dataclass(frozen=True, slots=True)
class Held:
    """`raw` is the unwrapped timestamp in milliseconds, `wall` the Unix time at which the frame came."""

    rendition: Rendition
    raw: int
    frame: VideoFrame | AudioFrame
    wall: float


class Gathering:
    """`dropped` counts, by reason, what cannot be used. `size` in bytes; `present`: renditions that have a frame."""

    def __init__(self, dropped: Counter[str]) -> None:
        self.size = 0
        self.present: set[Rendition] = set()
        self._dropped = dropped
        self._frames: list[Held] = []
        self._clock = MediaClock()

    def __bool__(self) -> bool:
        return bool(self._frames)

    def add(self, rendition: Rendition, raw: int, frame: VideoFrame | AudioFrame, wall: float) -> bool:
        """Keeps a frame; False: it was dropped. Video begins with a key frame, and a jump of time begins anew."""
        if not self._may_follow(rendition, frame):
            self._dropped["video before a key frame"] += 1
            return False
        if self._clock.place(rendition, raw) is None:
            self.forget("held before a timestamp jump")
            if not self._may_follow(rendition, frame):
                self._dropped["video before a key frame"] += 1
                return False
        if not self._frames:
            self._clock.start(raw, 0)
        self._frames.append(Held(rendition, raw, frame, wall))
        self.size += len(frame.data) + FRAME_OVERHEAD
        self.present.add(rendition)
        return True

    def waited(self, raw: int) -> float:
        """Seconds between the first frame and one that is stamped `raw`."""
        return (raw - self._frames[0].raw) / 1000 if self._frames else 0.0

    def forget(self, reason: str, rendition: Rendition | None = None) -> None:
        """Drops what is held (of one rendition)."""
        kept = [held for held in self._frames if rendition is not None and held.rendition != rendition]
        lost = len(self._frames) - len(kept)
        if reason and lost:
            self._dropped[reason] += lost
        self._frames.clear()
        self.size, self.present, self._clock = 0, set(), MediaClock()
        for held in kept:
            self.add(held.rendition, held.raw, held.frame, held.wall)

    def take(self) -> list[Held]:
        """Everything, in the order in which it came."""
        taken, self._frames = self._frames, []
        self.size, self.present, self._clock = 0, set(), MediaClock()
        return taken

    def _may_follow(self, rendition: Rendition, frame: VideoFrame | AudioFrame) -> bool:
        return rendition in self.present or frame.begins
