"""Samples on the broadcast's clock to segments: when one ends, and what stands in it.

The leading track, video where there is one, decides where a segment ends (`segmenter`); sound is cut at the same
moment. Because encoders interleave, a boundary is held open until the sound has passed it, though not longer than
`INTERLEAVE_SECONDS`. A track that stops in the middle of a segment lasts until its end; one that has nothing for a
whole segment gets a gap, so that the media sequence numbers of all renditions stay together, and a discontinuity where
it comes back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from onair_core.playback.renditions import Rendition, in_order, is_video
from onair_media.cmaf import segmenter
from onair_media.cmaf.gathering import FRAME_OVERHEAD
from onair_media.cmaf.init import InitError
from onair_media.cmaf.model import InitSegment, Segment, TrackSegment
from onair_media.cmaf.segmenter import CutRule
from onair_media.cmaf.track import Track
from onair_media.flv import Picture

INTERLEAVE_SECONDS = 0.5
# A segment may pass its longest by this before a hole is cut out of it: still clear of the rounding edge.
ROUNDING_SLACK = 0.04
# Timestamps that stand still: the sound that is waited for, or the time to wait, never comes.
MAX_WAITING_BYTES = 2 * segmenter.MAX_SEGMENT_BYTES
# A rendition that goes on later than this after its last segment does so behind a discontinuity.
SEAM_SECONDS = 0.05

_KEYS = Picture.RECOVERY  # looked up for every sample: enumerations are slow


class SegmentBuilder:
    """One broadcast's in one epoch. `media_end`: seconds of media in complete segments, over the whole broadcast.

    `resumed`: earlier epochs have segments, so the first one stands behind a discontinuity.
    """

    def __init__(
        self,
        dropped: Counter[str],
        *,
        segment_seconds: float,
        part_seconds: float,
        media_origin: float,
        renditions: tuple[Rendition, ...] | None,
        resumed: bool,
    ) -> None:
        self.media_end = media_origin
        self.date_end = 0.0
        """Unix time at which the last segment ends."""
        self.renditions = renditions
        """In order; None until they are fixed."""
        self.tracks: dict[Rendition, Track] = {}
        self.discontinuities = 0
        self._dropped = dropped
        self._part_seconds = part_seconds
        self._rule = CutRule(segment_seconds)
        self._discontinuity = resumed
        self._number = 0
        self._longest = 0.0
        self._start = 0.0  # media seconds at which the open segment began
        self._joinable = True  # a decoder can begin at its first picture
        self._size = 0
        self._boundary: float | None = None
        self._anchor = 0.0
        self._ends: dict[Rendition, float] = {}  # media seconds
        self._last_key: float | None = None
        self._gop: float | None = None
        # Media seconds from which on a sample may end the segment though it is no key frame: of the leading track, and
        # of the others, which lead when that one is silent. Most samples come earlier, and nothing needs to be decided.
        self._limit = self._silence = -math.inf
        self._leader: Rendition = ""

    # What the packager decides

    def fix_renditions(self, renditions: Iterable[Rendition]) -> tuple[Rendition, ...]:
        """The tracks of the broadcast, once and for all."""
        if self.renditions is None:
            self.renditions = in_order(renditions)
        return self.renditions

    def fix_target_duration(self, seconds: int | None) -> int:
        """Once and for all; `seconds`: an earlier epoch's."""
        if self._rule.target_duration is None:
            value = seconds or segmenter.target_duration(self._rule.segment_seconds, self._longest)
            wanted = min(self._rule.segment_seconds, float(value))
            self._set_rule(replace(self._rule, target_duration=value, segment_seconds=wanted))
        return self._rule.target_duration or 0

    def set_steady(self) -> None:
        """Segments have their full length from now on."""
        self._set_rule(replace(self._rule, steady=True))

    def _set_rule(self, rule: CutRule) -> None:
        self._rule = rule
        self._limit = self._silence = -math.inf

    @property
    def longest_segment(self) -> float:
        return self._rule.longest

    @property
    def target_duration(self) -> int | None:
        return self._rule.target_duration

    def begin(self, start: float, wall: float | None) -> None:
        """Samples follow from `start` (media seconds) on; that is Unix time `wall`, or as it was."""
        self._start = start
        self._joinable = True
        self._boundary = None
        self._last_key = self._gop = None
        self._limit = self._silence = -math.inf
        if wall is not None:
            self._anchor = wall - start

    def break_here(self) -> None:
        """The next segment stands behind a discontinuity, if there is one before it."""
        self._discontinuity = self._discontinuity or self._number > 0

    # Samples

    @property
    def quiet_seconds(self) -> float:
        """Seconds of media that may come before a segment ends; a key frame that is early by less than the rule's
        tolerance is not counted on.
        """
        track = self.tracks.get(self._leader)
        if track is None or not track.samples.dts or self._boundary is not None:
            return 0.0
        ends = self._start + self._rule.wanted(began_joinable=self._joinable)
        return max(0.0, ends - track.samples.dts[-1] / track.timescale)

    def add(
        self, track: Track, dts: int, cts: int, picture: Picture, data: bytes | memoryview
    ) -> Sequence[InitSegment | Segment]:
        """One more sample, in decode order; what ends before it comes out. Ticks of the track's timescale."""
        outputs: Sequence[InitSegment | Segment] = ()
        key = picture >= _KEYS
        leads = track.rendition == self._leader
        if (
            (leads and key)
            or self._boundary is not None
            or dts >= (self._limit if leads else self._silence) * track.timescale
            or self._size >= segmenter.MAX_SEGMENT_BYTES
        ):
            outputs = self._cut(track, dts, key)
        track.add(dts, cts, picture, data)
        self._size += len(data) + FRAME_OVERHEAD
        return outputs

    def close_all(self) -> list[InitSegment | Segment]:
        """Ends the open segment with everything that was received."""
        outputs: list[InitSegment | Segment] = []
        if self._boundary is not None:
            outputs += self._close(self._boundary, {})
        while any(track.samples.dts for track in self.tracks.values()):
            outputs += self._close(math.inf, {})
        return outputs

    def _cut(self, track: Track, dts: int, key: bool) -> list[InitSegment | Segment]:
        outputs: list[InitSegment | Segment] = []
        now = dts / track.timescale
        boundary = self._boundary
        if boundary is not None and now >= boundary:
            passed = not is_video(track.rendition) and not self._awaits_sound(boundary, track)
            if passed or now >= boundary + INTERLEAVE_SECONDS or self._size >= MAX_WAITING_BYTES:
                outputs += self._close(boundary, {track.rendition: dts})
        lead = self._lead()
        if key and is_video(track.rendition):
            self._note_key(now)
        if self._boundary is None and track is lead and any(t.samples.dts for t in self.tracks.values()):
            frame = track.frame / track.timescale
            if self._rule.ends_at(
                now - self._start,
                joinable=key,
                frame=frame,
                size=self._size,
                gop=self._gop,
                began_joinable=self._joinable,
            ):
                # Sound that leads because the picture is silent has run ahead by what encoders interleave.
                limit = math.inf if is_video(track.rendition) or len(self.tracks) == 1 else self._rule.longest
                self._boundary = min(now, self._start + limit)
                self._joinable = key and track.rendition == next(iter(self.renditions or ()))
                if not self._awaits_sound(self._boundary, track):
                    outputs += self._close(self._boundary, {track.rendition: dts})
        self._look_ahead()
        return outputs

    def _look_ahead(self) -> None:
        """When the next decision may be due, as far as nothing changes before."""
        first = next((self.tracks[name] for name in self.renditions or () if name in self.tracks), None)
        if first is None:
            return
        self._leader = first.rendition
        frames = max(track.frame / track.timescale for track in self.tracks.values())
        self._limit = self._start + self._rule.limit(self._gop) - frames
        self._silence = self._start + self._rule.longest + INTERLEAVE_SECONDS - frames

    def _lead(self) -> Track:
        """The track that decides where segments end: video, unless it is silent for longer than a segment may last."""
        first = next(self.tracks[name] for name in self.renditions or () if name in self.tracks)
        if not is_video(first.rendition):
            return first
        limit = self._start + self._rule.longest + INTERLEAVE_SECONDS
        for track in self.tracks.values():
            if track is not first and track.samples.dts and track.end / track.timescale > limit:
                return track
        return first

    def _note_key(self, now: float) -> None:
        if self._last_key is not None:
            self._gop = now - self._last_key
        self._last_key = now

    def _awaits_sound(self, boundary: float, passed: Track) -> bool:
        """Whether a sound track other than `passed` has not reached the boundary yet: encoders interleave."""
        return any(
            track.samples.dts[-1] / track.timescale < boundary
            for track in self.tracks.values()
            if track is not passed and not is_video(track.rendition) and track.samples.dts
        )

    # Segments

    def _close(self, boundary: float, following: Mapping[Rendition, int]) -> list[InitSegment | Segment]:
        """Ends the open segment at `boundary` seconds; `following`: ticks of the sample that is about to be added."""
        inits: list[InitSegment | Segment] = []
        made: dict[Rendition, TrackSegment] = {}
        for rendition in self.renditions or ():
            track = self.tracks.get(rendition)
            count = self._count(track, boundary) if track is not None else 0
            if track is None or not count:
                continue
            end = self._end(track, count, boundary, following.get(rendition))
            try:
                init, made[rendition] = track.take(count, end, self._part_seconds, self._date)
            except InitError:
                self._dropped["configuration that libavformat refuses"] += count
                continue
            if init is not None:
                inits.append(init)
        self._boundary = None
        self._size = sum(len(data) + FRAME_OVERHEAD for track in self.tracks.values() for data in track.samples.data)
        if not made:
            return []
        lead = next(made[rendition] for rendition in self.renditions or () if rendition in made)
        tracks = {name: made.get(name) or self._gap(name, lead, following.get(name)) for name in self.renditions or ()}
        segment = Segment(self._number, self._discontinuity or self._has_seam(tracks), tracks)
        self._number += 1
        self.discontinuities += segment.discontinuity
        self._discontinuity = False
        self._longest = max(self._longest, *(track.duration for track in made.values()))
        self._start = boundary if boundary != math.inf else lead.start + lead.duration
        self._ends = {name: track.start + track.duration for name, track in tracks.items()}
        self.media_end = max(self.media_end, *(self._ends[name] for name in made))
        self.date_end = self._date(self.media_end)
        return [*inits, segment]

    def _longest_end(self, track: Track) -> int:
        """Ticks: where a segment that begins with the track's first sample has to have ended."""
        return track.samples.dts[0] + int((self._rule.longest + ROUNDING_SLACK) * track.timescale)

    def _count(self, track: Track, boundary: float) -> int:
        """How many of the track's samples belong to a segment that ends at `boundary`."""
        count = len(track.samples) if boundary == math.inf else track.before(boundary)
        if count and track.samples.dts[count - 1] >= (longest := self._longest_end(track)):
            # What came after a pause, and before the leading track did, belongs to the next segment.
            return track.before(longest / track.timescale)
        return count

    def _end(self, track: Track, count: int, boundary: float, following: int | None) -> int:
        """Ticks until which the last of `count` samples lasts."""
        if count < len(track.samples):
            end = track.samples.dts[count]
        elif following is not None:
            end = following
        else:
            # Nothing follows yet: the sample is held until the boundary, so that the rendition has no hole.
            end = track.end if boundary == math.inf else max(track.end, round(boundary * track.timescale))
        # If nothing came for longer than a segment may last, the rest of the time is a hole.
        longest = self._longest_end(track)
        return end if end <= longest else max(longest, track.samples.dts[count - 1] + 1)

    def _gap(self, rendition: Rendition, lead: TrackSegment, following: int | None) -> TrackSegment:
        track = self.tracks.get(rendition)
        if track is not None:
            return track.gap(lead.start, lead.duration, self._date, following)
        return TrackSegment(0, lead.start, lead.duration, self._date(lead.start), b"", (), gap=True)

    def _has_seam(self, tracks: Mapping[Rendition, TrackSegment]) -> bool:
        """Whether a rendition goes on later than it ended: its times would no longer follow from its durations."""
        return any(
            abs(track.start - self._ends.get(name, track.start)) > SEAM_SECONDS for name, track in tracks.items()
        )

    def _date(self, media: float) -> float:
        return self._anchor + media
