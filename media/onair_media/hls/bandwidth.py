"""BANDWIDTH and AVERAGE-BANDWIDTH, measured over the very segments that are served (RFC 8216bis 4.4.6.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from onair_core.playback.renditions import Rendition, is_video


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bits a second, rounded up: `peak` is BANDWIDTH, `average` AVERAGE-BANDWIDTH."""

    peak: int = 0
    average: int = 0

    def __add__(self, other: Bandwidth) -> Bandwidth:
        """What playing both renditions at once takes: the sum of the peaks, as section 4.4.6.2 defines it."""
        return Bandwidth(self.peak + other.peak, self.average + other.average)


def together(renditions: Mapping[Rendition, Bandwidth]) -> Bandwidth:
    """What a player needs that plays the picture and one of the audio renditions: whichever is the largest."""
    video = sum((rate for name, rate in renditions.items() if is_video(name)), Bandwidth())
    audio = [rate for name, rate in renditions.items() if not is_video(name)]
    largest = Bandwidth(max((a.peak for a in audio), default=0), max((a.average for a in audio), default=0))
    return video + largest


class BandwidthMeter:
    """Measures one rendition from the start of a broadcast; neither the peak nor its memory forgets or grows.

    The peak is the largest rate of any run of segments that together last 0.5 to 1.5 target durations.
    """

    __slots__ = ("_bytes", "_duration", "_fallback", "_peak", "_recent", "_target_duration")

    def __init__(self, target_duration: int) -> None:
        self._target_duration = target_duration
        self._recent: deque[tuple[float, int]] = deque()
        self._peak = 0.0
        self._fallback = 0.0
        self._bytes = 0
        self._duration = 0.0

    def add(self, duration: float, size: int) -> None:
        """Count one segment: seconds and bytes. Gaps and empty segments say nothing about the rate."""
        if duration <= 0 or size <= 0:
            return
        self._bytes += size
        self._duration += duration
        self._fallback = max(self._fallback, size * 8 / duration)
        self._recent.append((duration, size))
        self._forget()
        run_duration, run_size = 0.0, 0
        for seconds, octets in reversed(self._recent):
            run_duration += seconds
            run_size += octets
            if run_duration > 1.5 * self._target_duration:
                break
            if run_duration >= 0.5 * self._target_duration:
                self._peak = max(self._peak, run_size * 8 / run_duration)

    def _forget(self) -> None:
        """Drop what no run that ends with the newest segment can reach any more."""
        total = sum(seconds for seconds, _ in self._recent)
        while len(self._recent) > 1 and total - self._recent[0][0] > 1.5 * self._target_duration:
            total -= self._recent.popleft()[0]

    @property
    def bandwidth(self) -> Bandwidth:
        """What was measured so far. Where no run is long enough yet, the highest rate of a single segment."""
        if not self._duration:
            return Bandwidth()
        average = ceil(self._bytes * 8 / self._duration)
        return Bandwidth(peak=max(ceil(self._peak or self._fallback), average), average=average)
