"""What packaging produces: init segments and media segments, the currency between `cmaf`, `hls` and `recording`.

One `Segment` holds every rendition of the same stretch of time, so a discontinuity falls on the same media sequence
number everywhere by construction. URIs are `<broadcast>/<epoch>/<rendition>/<n>.m4s` and
`<broadcast>/<epoch>/<rendition>/init-<k>.mp4`, in live playlists, in recordings and in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onair_core.playback.renditions import Rendition


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """A track's codec configuration, as playlists need it.

    `codec` is the RFC 6381 string (`avc1.64001f`, `mp4a.40.2`). Video has `width`, `height` in pixels and, once
    known, `frame_rate` in frames a second and `video_range` (`PQ`, `HLG`; empty: SDR). Audio has `channels` and
    `sample_rate` in Hz, and where the encoder tells them `language` (BCP 47) and a `name` for people.
    """

    rendition: Rendition
    codec: str
    width: int = 0
    height: int = 0
    frame_rate: float | None = None
    channels: int = 0
    sample_rate: int = 0
    video_range: str = ""
    language: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class InitSegment:
    """`ftyp` and `moov` of one rendition; `index` counts from 0 within broadcast and epoch."""

    rendition: Rendition
    index: int
    data: bytes
    track: TrackInfo


@dataclass(frozen=True, slots=True)
class Part:
    """One `moof`+`mdat` inside its segment: byte range, duration in seconds, whether a decoder can begin with it."""

    offset: int
    size: int
    duration: float
    independent: bool


@dataclass(frozen=True, slots=True)
class TrackSegment:
    """One rendition of a segment. `start` is media time in seconds (tfdt), `program_date_time` Unix seconds.

    `gap`: nothing was received for this rendition; `data` is empty and the playlist says EXT-X-GAP.
    `independent`: all of it can be decoded without another segment (RFC 8216bis 4.4.2.1); audio always.
    """

    init: int
    start: float
    duration: float
    program_date_time: float
    data: bytes
    parts: tuple[Part, ...]
    independent: bool = True
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """`number` counts from 0 within the epoch. `discontinuity`: stands before this segment, in every rendition.

    The first of `tracks` leads.
    """

    number: int
    discontinuity: bool
    tracks: Mapping[Rendition, TrackSegment]

    @property
    def duration(self) -> float:
        """Seconds of the leading rendition."""
        return next(iter(self.tracks.values())).duration
