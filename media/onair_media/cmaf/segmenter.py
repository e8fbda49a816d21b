"""When a segment ends. Pure decisions over seconds since the segment began (DESIGN: CMAF).

A key frame is any picture at which a decoder can begin, with which an open GOP begins, too (`flv.pictures`).

* Until the stream is active a segment ends at every key frame at least 0.9 s on, so that viewers can start early;
  afterwards at the first at or after the segment duration, less a tolerance for timestamps in milliseconds.
* EXTINF, rounded, must never exceed the target duration (RFC 8216bis 4.4.3.1), so a longer GOP is cut without one.
* After such a cut the next one ends the segment, however short: a stream must not lose all places to join at.
* Bytes count too: a stream without key frames at 100 Mbit/s must not grow one segment for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

EARLY_SECONDS = 0.9
TOLERANCE_SECONDS = 0.05
MAX_TARGET_SECONDS = 10
MAX_SEGMENT_BYTES = 50_000_000
# A segment that did not begin with a key frame ends at the next one: viewers can join there.
REJOIN_SECONDS = 0.25
# EXTINF rounds to the nearest integer; a margin keeps clear of the edge.
ROUNDING_MARGIN = 0.45


@dataclass(frozen=True, slots=True)
class CutRule:
    """`target_duration` in whole seconds, None until it is fixed."""

    segment_seconds: float
    steady: bool = False
    target_duration: int | None = None

    @property
    def longest(self) -> float:
        """Seconds that a segment may last."""
        return (self.target_duration or MAX_TARGET_SECONDS) + ROUNDING_MARGIN

    def ends_at(
        self,
        elapsed: float,
        *,
        joinable: bool,
        frame: float,
        size: int,
        gop: float | None = None,
        began_joinable: bool = True,
    ) -> bool:
        """Whether the segment ends before a frame that begins at `elapsed` and lasts about `frame` seconds.

        `joinable`: a decoder can start at this frame; `began_joinable`: at the segment's first. `size`: bytes in
        the segment so far. `gop`: seconds between the last two key frames, where known.
        """
        if size >= MAX_SEGMENT_BYTES or elapsed + frame > self.limit(gop):
            return True
        return joinable and elapsed >= self.earliest(began_joinable=began_joinable)

    def earliest(self, *, began_joinable: bool) -> float:
        """Seconds before which no segment ends, key frame or not, unless it is too large."""
        return self.wanted(began_joinable=began_joinable) - TOLERANCE_SECONDS

    def wanted(self, *, began_joinable: bool) -> float:
        """Seconds after which the next key frame ends it."""
        wanted = self.segment_seconds if self.steady else min(EARLY_SECONDS, self.segment_seconds)
        return wanted if began_joinable else min(wanted, REJOIN_SECONDS)

    def limit(self, gop: float | None) -> float:
        """Seconds after which a segment ends without a key frame: a long GOP is cut evenly, and the next begins one."""
        if gop is None or gop <= self.longest:
            return self.longest
        return min(gop / math.ceil(gop / self.longest) + TOLERANCE_SECONDS, self.longest)


def target_duration(segment_seconds: float, longest_segment: float) -> int:
    """TARGETDURATION for a stream whose longest segment so far is known: a whole number of seconds, at most 10."""
    return min(max(math.ceil(segment_seconds), int(longest_segment + 0.5), 1), MAX_TARGET_SECONDS)
