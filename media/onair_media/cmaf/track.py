"""One track of a broadcast: its configuration, its collected samples, and how they become a segment's rendition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from onair_core.playback.renditions import Rendition
from onair_media.cmaf.fragment import Samples, fragment
from onair_media.cmaf.init import Init, InitError
from onair_media.cmaf.model import InitSegment, Part, TrackInfo, TrackSegment
from onair_media.cmaf.preparation import Preparation, Prepare, WhenNeeded
from onair_media.flv import AudioConfig, Picture, VideoConfig


class Track:
    """`timescale` in ticks a second. Samples are added in decode order; `take` cuts the front off as a segment.

    `frame`: how many ticks the newest frame lasts, as far as that is known before the next one comes. `preparation`:
    the init segment of a new configuration; without one, the first key frame begins it.
    """

    def __init__(
        self,
        rendition: Rendition,
        info: TrackInfo,
        timescale: int,
        config: VideoConfig | AudioConfig,
        make_init: Callable[[bytes], Init],
        prepare: Prepare = WhenNeeded,
    ) -> None:
        self.rendition = rendition
        self.info = info
        self.timescale = timescale
        self.config = config
        self.samples = Samples()
        self.frame = timescale // 25
        self._taken_until = 0  # ticks; where the last segment ended
        self._make_init = make_init
        self._prepare = prepare
        self.preparation: Preparation | None = None
        self._init: InitSegment | None = None
        self._inits = 0
        self._sequence = 0

    def configure(
        self, info: TrackInfo, timescale: int, config: VideoConfig | AudioConfig, make_init: Callable[[bytes], Init]
    ) -> None:
        """Another configuration, between segments: the next one has an init segment of its own."""
        self._taken_until = -(-self._taken_until * timescale // self.timescale)
        self.info, self.timescale, self.config, self._make_init = info, timescale, config, make_init
        self._init = self.preparation = None

    @property
    def floor(self) -> int:
        """The earliest decode time, in ticks, that the next sample may have."""
        return self.samples.dts[-1] + 1 if self.samples.dts else self._taken_until

    @property
    def needs_init(self) -> bool:
        """Whether the next segment comes with an init segment."""
        return self._init is None

    def add(self, dts: int, cts: int, picture: Picture, data: bytes | memoryview) -> None:
        if self._init is None and self.preparation is None and picture >= Picture.RECOVERY:
            self.preparation = self._prepare(partial(self._make_init, bytes(data)))
        samples = self.samples
        samples.dts.append(dts)
        samples.cts.append(cts)
        samples.picture.append(picture)
        samples.data.append(data)

    @property
    def end(self) -> int:
        """Where the samples end, in ticks, as far as that is known before the next one comes; needs a sample."""
        return self.samples.dts[-1] + self.frame

    def before(self, boundary: float) -> int:
        """How many of the samples begin before `boundary` (seconds of media time)."""
        ticks = round(boundary * self.timescale)
        count = len(self.samples)
        while count and self.samples.dts[count - 1] >= ticks:
            count -= 1
        return count

    def take(
        self, count: int, end: int, part_seconds: float, date_of: Callable[[float], float]
    ) -> tuple[InitSegment | None, TrackSegment]:
        """The first `count` samples (at least one), the last of which lasts until `end` ticks, as a rendition.

        An `InitSegment` comes with it when the configuration is new. Raises `InitError`.
        """
        taken = self.samples.split(count)
        self._taken_until = end
        new = None
        if self._init is None:
            made = self._prepared()
            info = self.info
            if made.width:
                info = replace(
                    info, codec=made.codec, width=made.width, height=made.height, video_range=made.video_range
                )
                if info.frame_rate is None and end > taken.dts[0]:
                    info = replace(info, frame_rate=round(count * self.timescale / (end - taken.dts[0]), 3))
            self._init = new = InitSegment(self.rendition, self._inits, made.data, info)
            self._inits += 1
        parts, pieces, offset = [], [], 0
        for first, last, until in _parts(taken, end, round(part_seconds * self.timescale)):
            self._sequence += 1
            piece = fragment(taken, first, last, until, self._sequence)
            size = sum(map(len, piece))
            joinable = taken.picture[first] >= Picture.RECOVERY
            parts.append(Part(offset, size, (until - taken.dts[first]) / self.timescale, joinable))
            pieces += piece
            offset += size
        start = taken.dts[0] / self.timescale
        return new, TrackSegment(
            init=self._init.index,
            start=start,
            duration=(end - taken.dts[0]) / self.timescale,
            program_date_time=date_of(start),
            data=b"".join(pieces),
            parts=tuple(parts),
            independent=_stand_alone(taken.picture),
        )

    def _prepared(self) -> Init:
        preparation, self.preparation = self.preparation, None
        if preparation is None or not preparation.done():
            # The publisher left, or was cut, while it was held for this: nobody waits for its first frames.
            raise InitError("it was not made yet")
        return preparation.result()

    def gap(
        self, start: float, duration: float, date_of: Callable[[float], float], following: int | None = None
    ) -> TrackSegment:
        """A stretch for which nothing was received: whatever comes for it later is too late.

        `following`: ticks of the sample that is about to be added.
        """
        end = start + duration
        if self.samples.dts:
            following = self.samples.dts[0]
        if following is not None:
            end = min(end, following / self.timescale)
        start = min(max(start, self._taken_until / self.timescale), end)
        duration = max(end - start, 1 / self.timescale)
        self._taken_until = max(self._taken_until, round(end * self.timescale))
        index = self._init.index if self._init else max(self._inits - 1, 0)
        return TrackSegment(index, start, duration, date_of(start), b"", (), gap=True)


def _stand_alone(pictures: Sequence[Picture]) -> bool:
    """Whether all samples of a segment can be decoded without another (RFC 8216bis 4.4.2.1)."""
    if pictures[0] is not Picture.CRA:
        return pictures[0] is Picture.KEY
    # Of those that may need the segment before all come before the next GOP, whose own need only this segment.
    for picture in islice(pictures, 1, None):
        if picture is Picture.RASL:
            return False
        if picture >= Picture.RECOVERY:
            break
    return True


def _parts(samples: Samples, end: int, longest: int) -> list[tuple[int, int, int]]:
    """(first, last exclusive, end ticks) of parts of at most `longest` ticks, or one sample."""
    parts = []
    first = 0
    for index in range(1, len(samples) + 1):
        until = samples.dts[index] if index < len(samples) else end
        if index - first > 1 and until - samples.dts[first] > longest:
            parts.append((first, index - 1, samples.dts[index - 1]))
            first = index - 1
    parts.append((first, len(samples), end))
    return parts
