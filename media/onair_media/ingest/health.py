"""How well a publisher's stream comes in: figures for metrics, and the problems that have a name. Pure.

Judged as Mux does it: *drift* is how far media time lags behind the clock on the wall; what counts is how far it moves
away from its own average of the last half minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from onair_core.contract import IngestProblem

ROLLING_SECONDS = 30.0
EXCELLENT_MS, GOOD_MS = 500.0, 1000.0
# After this long without a complete segment nothing is known.
STALE_SECONDS = 15.0
# A peak is no reason to cut an encoder off: the limit is held to an average of this many seconds.
BITRATE_SECONDS = 10.0
NO_KEYFRAME_SECONDS = 10.0
OUT_OF_STEP_MS = 2000


class Rating(StrEnum):
    """`unknown`: no segment is complete yet, or none has been for a while."""

    EXCELLENT = "excellent"
    GOOD = "good"
    POOR = "poor"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Problem:
    """Told as a warning, once a connection. `fatal`: the publisher has to be cut off."""

    reason: IngestProblem
    message: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """Bits and frames a second over the last half minute, from the connection's beginning on; seconds between
    keyframes, or since the last one if that is longer; drift in milliseconds. None: not known, or there is no video.

    `keyframes` of this connection.
    """

    rating: Rating = Rating.UNKNOWN
    bitrate: float | None = None
    frame_rate: float | None = None
    keyframes: int | None = None
    keyframe_interval: float | None = None
    longest_keyframe_interval: float | None = None
    drift: float | None = None
    drift_deviation: float | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    wall: float
    received: int
    pictures: int
    drift: float


class Health:
    """One connection's. `max_bitrate` in bits a second; None: unlimited. `longest_gop`: seconds after which a segment
    ends without a keyframe.
    """

    def __init__(self, wall: float, *, max_bitrate: int | None, longest_gop: float) -> None:
        self.received = 0
        self.pictures = 0
        self.max_bitrate = max_bitrate
        self.longest_gop = longest_gop
        self._connected = wall
        self._samples: deque[_Sample] = deque()
        self._media = 0.0
        self._first_wall: float | None = None
        self._first_picture: int | None = None
        self._last: dict[bool, int] = {}
        self._last_key: int | None = None
        self._keyframes = 0
        self._overdue = False
        self._interval = 0
        self._longest_interval = 0
        self._told: set[IngestProblem] = set()

    def picture(self, timestamp: int, size: int, *, keyframe: bool) -> bool:
        """A video frame; `timestamp` in milliseconds modulo 2^32, `size` in bytes.

        True: the next keyframe is overdue since this one, so there is a problem to tell.
        """
        self.received += size
        self.pictures += 1
        self._last[True] = timestamp
        if self._first_picture is None:
            self._first_picture = timestamp
        if keyframe:
            self._keyframes += 1
            if self._last_key is not None:
                self._interval = _distance(timestamp, self._last_key)
                self._longest_interval = max(self._longest_interval, self._interval)
            self._last_key = timestamp
        elif not self._overdue and self._since_key > self.longest_gop * 1000:
            self._overdue = True
            return True
        return False

    def sound(self, timestamp: int, size: int) -> None:
        """An audio frame of any track."""
        self.received += size
        self._last[False] = timestamp

    def segment(self, wall: float, duration: float) -> None:
        """A segment of `duration` seconds is complete at Unix time `wall`."""
        self._media += duration
        if self._first_wall is None:
            self._first_wall, self._media = wall, 0.0
        drift = ((wall - self._first_wall) - self._media) * 1000
        self._samples.append(_Sample(wall, self.received, self.pictures, drift))
        while len(self._samples) > 2 and wall - self._samples[0].wall > ROLLING_SECONDS:
            self._samples.popleft()

    def figures(self, wall: float) -> Figures:
        """As of Unix time `wall`."""
        known = len(self._samples) > 1 and self._samples[-1].wall > self._samples[0].wall
        if known:
            first, last = self._samples[0], self._samples[-1]
        else:
            first, last = _Sample(self._connected, 0, 0, 0.0), _Sample(wall, self.received, self.pictures, 0.0)
        seconds = last.wall - first.wall
        has_video, deviation = self._first_picture is not None, self._deviation
        return Figures(
            rating=_rating(deviation) if known and wall - last.wall <= STALE_SECONDS else Rating.UNKNOWN,
            bitrate=(last.received - first.received) * 8 / seconds if seconds > 0 else None,
            frame_rate=(last.pictures - first.pictures) / seconds if has_video and seconds > 0 else None,
            keyframes=self._keyframes if has_video else None,
            keyframe_interval=max(self._interval, self._since_key) / 1000 if self._keyframes else None,
            longest_keyframe_interval=self._longest_gap / 1000 if self._keyframes else None,
            drift=last.drift if known else None,
            drift_deviation=deviation if known else None,
        )

    @property
    def _deviation(self) -> float:
        """Milliseconds that media is off its own pace."""
        if not self._samples:
            return 0.0
        return abs(self._samples[-1].drift - sum(sample.drift for sample in self._samples) / len(self._samples))

    @property
    def _since_key(self) -> int:
        """Milliseconds of video after the last keyframe."""
        return 0 if self._last_key is None else _distance(self._last[True], self._last_key)

    @property
    def _longest_gap(self) -> int:
        """Milliseconds: the longest between keyframes, and the last one may be under way."""
        return max(self._longest_interval, self._since_key)

    def problems(self, wall: float) -> Iterator[Problem]:
        """What is wrong and was not told yet; to be asked about once a second or so."""
        for problem in self._found(wall):
            if problem.reason not in self._told:
                self._told.add(problem.reason)
                yield problem

    def _found(self, wall: float) -> Iterator[Problem]:
        if self._longest_gap > self.longest_gop * 1000:
            seconds = self._longest_gap / 1000
            seen = (
                f"Keyframes are {seconds:.1f} s apart"
                if self._longest_interval == self._longest_gap
                else f"No keyframe came for {seconds:.1f} s"
            )
            yield Problem(
                IngestProblem.GOP_TOO_LONG,
                f"{seen}; more than {int(self.longest_gop)} s makes segments without one, where no viewer can join. "
                "Set the encoder's keyframe interval to 2 s.",
            )
        if self._first_picture is not None and self._last_key is None:
            waited = _distance(self._last[True], self._first_picture) / 1000
            if waited > NO_KEYFRAME_SECONDS:
                yield Problem(
                    IngestProblem.NO_KEYFRAME,
                    f"No keyframe came in {waited:.0f} s of video: nobody can watch. Set a keyframe interval of 2 s.",
                )
        if len(self._last) == 2:
            apart = _distance(self._last[True], self._last[False])
            if abs(apart) > OUT_OF_STEP_MS:
                yield Problem(
                    IngestProblem.OUT_OF_STEP,
                    f"Picture and sound are {abs(apart) / 1000:.1f} s apart: "
                    f"{'sound' if apart > 0 else 'picture'} comes late from the encoder.",
                )
        if self.max_bitrate is not None and self._samples:
            rate = self._recent_bitrate()
            if rate is not None and rate > self.max_bitrate:
                yield Problem(
                    IngestProblem.BITRATE_EXCEEDED,
                    f"The stream has {rate / 1e6:.1f} Mbit/s; the class allows {self.max_bitrate / 1e6:.1f} Mbit/s.",
                    fatal=True,
                )

    def _recent_bitrate(self) -> float | None:
        """Bits a second over the last stretch that is long enough to judge."""
        last = self._samples[-1]
        start = next((s for s in reversed(self._samples) if last.wall - s.wall >= BITRATE_SECONDS), None)
        return None if start is None else (last.received - start.received) * 8 / (last.wall - start.wall)


def _rating(deviation: float) -> Rating:
    if deviation <= EXCELLENT_MS:
        return Rating.EXCELLENT
    return Rating.GOOD if deviation <= GOOD_MS else Rating.POOR


def _distance(later: int, earlier: int) -> int:
    """Milliseconds between two 32-bit timestamps, signed."""
    step = (later - earlier) & 0xFFFFFFFF
    return step - 0x100000000 if step & 0x80000000 else step
