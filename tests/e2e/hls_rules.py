"""What must hold between all reloads of one HLS media playlist (RFC 8216bis 4.4.3, 6.2.1, 6.2.2). Pure."""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Segment:
    uri: str
    duration: float
    program_date_time: float | None
    discontinuity: bool
    map_uri: str
    gap: bool


@dataclass(frozen=True)
class MediaPlaylist:
    target_duration: int
    media_sequence: int
    discontinuity_sequence: int
    kind: str
    ended: bool
    independent: bool
    segments: tuple[Segment, ...]

    @property
    def discontinuities(self) -> int:
        return sum(segment.discontinuity for segment in self.segments)

    @property
    def duration(self) -> float:
        return sum(segment.duration for segment in self.segments)


def parse(text: str) -> MediaPlaylist:
    """A media playlist. Raises AssertionError when a line is none that it may hold."""
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U", text
    headers = {"#EXT-X-MEDIA-SEQUENCE": "0", "#EXT-X-DISCONTINUITY-SEQUENCE": "0", "#EXT-X-PLAYLIST-TYPE": ""}
    segments: list[Segment] = []
    duration: float | None = None
    date: float | None = None
    discontinuity = gap = False
    map_uri = ""
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name == "#EXTINF":
            duration = float(value.split(",")[0])
        elif name == "#EXT-X-PROGRAM-DATE-TIME":
            date = datetime.datetime.fromisoformat(value).timestamp()
        elif name == "#EXT-X-DISCONTINUITY":
            discontinuity = True
        elif name == "#EXT-X-GAP":
            gap = True
        elif name == "#EXT-X-MAP":
            found = re.search(r'URI="([^"]+)"', value)
            assert found, line
            map_uri = found[1]
        elif line and not line.startswith("#"):
            assert duration is not None, f"no EXTINF before {line}"
            segments.append(Segment(line, duration, date, discontinuity, map_uri, gap))
            duration, date, discontinuity, gap = None, None, False, False
        elif name.startswith("#EXT-X-"):
            headers[name] = value
    return MediaPlaylist(
        target_duration=int(headers["#EXT-X-TARGETDURATION"]),
        media_sequence=int(headers["#EXT-X-MEDIA-SEQUENCE"]),
        discontinuity_sequence=int(headers["#EXT-X-DISCONTINUITY-SEQUENCE"]),
        kind=headers["#EXT-X-PLAYLIST-TYPE"],
        ended="#EXT-X-ENDLIST" in headers,
        independent="#EXT-X-INDEPENDENT-SEGMENTS" in headers,
        segments=tuple(segments),
    )


@dataclass
class Follower:
    """Sees one media playlist's reloads and holds them against each other; AssertionError names the broken rule."""

    by_number: dict[int, Segment] = field(default_factory=dict)
    number_of: dict[str, int] = field(default_factory=dict)
    discontinuity_of: dict[int, int] = field(default_factory=dict)
    reloads: int = 0
    last: MediaPlaylist | None = None

    @property
    def segments(self) -> list[Segment]:
        """All that was ever listed, in order."""
        return [self.by_number[number] for number in sorted(self.by_number)]

    @property
    def discontinuities(self) -> int:
        return len(self.discontinuity_numbers)

    @property
    def discontinuity_numbers(self) -> set[int]:
        """Media sequence numbers of the segments that began a discontinuity."""
        return {number for number, segment in self.by_number.items() if segment.discontinuity}

    def see(self, text: str) -> MediaPlaylist:
        playlist = parse(text)
        last = self.last
        if last is not None:
            assert playlist.target_duration == last.target_duration, "TARGETDURATION changed"
            assert playlist.media_sequence >= last.media_sequence, "MEDIA-SEQUENCE went back"
            assert playlist.discontinuity_sequence >= last.discontinuity_sequence, "DISCONTINUITY-SEQUENCE went back"
            assert playlist.kind == last.kind, "PLAYLIST-TYPE changed"
            assert not last.ended or playlist == last, "changed after ENDLIST"
            end = playlist.media_sequence + len(playlist.segments)
            assert end >= last.media_sequence + len(last.segments), "segments vanished from the end"
        if playlist.kind:
            assert playlist.media_sequence == min(self.by_number, default=playlist.media_sequence), (
                "EVENT lost its start"
            )
        discontinuity = playlist.discontinuity_sequence
        previous: Segment | None = None
        for number, segment in enumerate(playlist.segments, playlist.media_sequence):
            discontinuity += segment.discontinuity
            assert self.discontinuity_of.setdefault(number, discontinuity) == discontinuity, (
                f"segment {number} has another discontinuity sequence number than before"
            )
            self._segment(number, segment, playlist.target_duration)
            if previous is not None:
                _follows(previous, segment)
            previous = segment
        self.reloads += 1
        self.last = playlist
        return playlist

    def _segment(self, number: int, segment: Segment, target_duration: int) -> None:
        assert round(segment.duration) <= target_duration, f"segment {number} of {segment.duration} s is too long"
        assert segment.duration > 0, f"segment {number} is empty"
        assert segment.map_uri, f"segment {number} has no EXT-X-MAP"
        known = self.by_number.setdefault(number, segment)
        assert (known.uri, known.duration, known.map_uri, known.gap) == (
            segment.uri, segment.duration, segment.map_uri, segment.gap,
        ), f"segment {number} changed"  # fmt: skip
        assert self.number_of.setdefault(segment.uri, number) == number, f"{segment.uri} was used again"


def same_discontinuities(followers: Iterable[Follower]) -> None:
    """Every rendition has its discontinuities at the same media sequence numbers, as far as each was seen."""
    followers = list(followers)
    for one, other in itertools.pairwise(followers):
        common = one.by_number.keys() & other.by_number.keys()
        assert one.discontinuity_numbers & common == other.discontinuity_numbers & common, "renditions differ"


def _follows(previous: Segment, segment: Segment) -> None:
    if previous.program_date_time is None or segment.program_date_time is None:
        return
    end = previous.program_date_time + previous.duration
    assert segment.program_date_time >= end - 0.005, f"PROGRAM-DATE-TIME of {segment.uri} is before the previous end"
    if not segment.discontinuity:
        assert abs(segment.program_date_time - end) < 0.05, f"a hole in PROGRAM-DATE-TIME before {segment.uri}"
        assert segment.map_uri == previous.map_uri, f"EXT-X-MAP changed without EXT-X-DISCONTINUITY at {segment.uri}"
