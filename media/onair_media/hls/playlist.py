"""Playlists as text (RFC 8216bis 4): pure functions from what is known to what is served.

The same lines stand in live playlists and in recordings; only the header differs.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Literal

from onair_core.playback.renditions import VIDEO, Rendition, in_order, is_video
from onair_media.cmaf.model import TrackInfo
from onair_media.hls.bandwidth import Bandwidth

PlaylistKind = Literal["LIVE", "EVENT", "VOD"]

VERSION = 8
"""EXT-X-MAP needs 6; strict parsers want 8 for EXT-X-GAP, and it had better not change under a player."""

ENDLIST = "#EXT-X-ENDLIST\n"

_AUDIO_GROUP = "audio"


class Playlist:
    """A rendered playlist, ready to be served many times.

    `final`: it ends with EXT-X-ENDLIST, or is the multivariant playlist of such. `max_age`: seconds for which
    a cache may serve it. `digest` and `gzipped` are given by who has them at hand.
    """

    def __init__(
        self,
        text: bytes,
        *,
        final: bool,
        max_age: int,
        digest: str | None = None,
        gzipped: bytes | None = None,
    ) -> None:
        self.text = text
        self.final = final
        self.max_age = max_age
        self._digest = digest
        self._gzipped = gzipped

    @cached_property
    def etag(self) -> str:
        """Strong and quoted."""
        digest = self._digest or sha256(self.text).hexdigest()
        return f'"{digest[:20]}"'

    @cached_property
    def gzipped(self) -> bytes:
        """The text as gzip, made when it is first asked for."""
        return self._gzipped or gzip.compress(self.text, compresslevel=5, mtime=0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment as one media playlist lists it. Seconds; `program_date_time` is Unix time.

    `discontinuity`: EXT-X-DISCONTINUITY stands before it. `gap`: its URI must not be loaded.
    """

    uri: str
    map_uri: str
    duration: float
    program_date_time: float
    discontinuity: bool = False
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """What stands above the first segment.

    `independent`: no segment so far needs another to be decoded. `EVENT` and `VOD` are recordings: numbered from 0.
    """

    target_duration: int
    kind: PlaylistKind = "LIVE"
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    independent: bool = True


def live_max_age(target_duration: int) -> int:
    """Seconds for which a cache may serve a live playlist: half a target duration, never below one.

    A player that meets a copy this old still sees a new segment within 1.5 target durations (section 6.2.1).
    """
    return max(1, target_duration // 2)


def program_date_time(unix: float) -> str:
    """ISO 8601 with milliseconds, UTC (section 4.4.4.6)."""
    return datetime.fromtimestamp(round(unix, 3), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def header_lines(header: Header) -> str:
    """The media playlist's head, with EXT-X-DISCONTINUITY-SEQUENCE always: one may come any time."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{header.target_duration}",
        f"#EXT-X-MEDIA-SEQUENCE:{header.media_sequence}",
        f"#EXT-X-DISCONTINUITY-SEQUENCE:{header.discontinuity_sequence}",
    ]
    if header.kind != "LIVE":
        lines.append(f"#EXT-X-PLAYLIST-TYPE:{header.kind}")
    if header.independent:
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    return "\n".join(lines) + "\n"


def entry_lines(entry: Entry, *, map_before: str | None, prefix: str = "") -> str:
    """One segment's lines. `map_before`: the EXT-X-MAP in force for the segment above, None for the first.

    `prefix` stands before every URI: a static file may lie elsewhere than what it names.
    """
    lines = []
    if entry.discontinuity:
        lines.append("#EXT-X-DISCONTINUITY")
    if entry.map_uri != map_before:
        lines.append(f'#EXT-X-MAP:URI="{prefix}{entry.map_uri}"')
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{program_date_time(entry.program_date_time)}")
    if entry.gap:
        lines.append("#EXT-X-GAP")
    lines.append(f"#EXTINF:{entry.duration:.6f},")
    lines.append(f"{prefix}{entry.uri}")
    return "\n".join(lines) + "\n"


def media_playlist(header: Header, entries: Iterable[Entry], *, ended: bool = False, prefix: str = "") -> str:
    """A whole media playlist; `ended` closes it with EXT-X-ENDLIST."""
    blocks = [header_lines(header)]
    map_before: str | None = None
    for entry in entries:
        blocks.append(entry_lines(entry, map_before=map_before, prefix=prefix))
        map_before = entry.map_uri
    if ended:
        blocks.append(ENDLIST)
    return "".join(blocks)


def multivariant_playlist(tracks: Sequence[TrackInfo], bandwidth: Bandwidth, *, prefix: str = "") -> str:
    """The multivariant playlist of a video rendition and any number of audio renditions, or of these alone.

    `tracks`: every configuration that the listed segments have, in the renditions' order; several of a rendition are
    joined as section 4.4.6.2 asks (all CODECS, largest RESOLUTION, highest FRAME-RATE). `bandwidth` is what playing
    takes. `prefix` stands before the media playlists' names. Raises ValueError without any track.

    It does not claim EXT-X-INDEPENDENT-SEGMENTS: players do not reload it, so it could not take that back.
    """
    video = [track for track in tracks if is_video(track.rendition)]
    audio = [track for track in tracks if not is_video(track.rendition)]
    if not tracks:
        raise ValueError("a multivariant playlist needs at least one track")
    renditions = in_order({track.rendition for track in audio})
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
    grouped = bool(audio) and (bool(video) or len(renditions) > 1)
    if grouped:
        names: set[str] = set()
        lines += [_audio_rendition([t for t in audio if t.rendition == name], prefix, names) for name in renditions]
    lines.append("#EXT-X-STREAM-INF:" + ",".join(_variant_attributes(video, audio, bandwidth, grouped=grouped)))
    lines.append(f"{prefix}{VIDEO if video else renditions[0]}.m3u8")
    return "\n".join(lines) + "\n"


def _audio_rendition(tracks: Sequence[TrackInfo], prefix: str, names: set[str]) -> str:
    """`names`: those taken in this group, where each must be another (section 4.4.6.1); the first is the default."""
    rendition = tracks[0].rendition
    default = not names
    channels = max(track.channels for track in tracks)
    language = next((track.language for track in tracks if track.language), "")
    name = next((track.name for track in tracks if track.name), "") or language or _track_name(rendition)
    if name in names:
        name = f"{name} ({_track_name(rendition)})"
    names.add(name)
    attributes = [
        "TYPE=AUDIO",
        f'GROUP-ID="{_AUDIO_GROUP}"',
        f'NAME="{name}"',
        *([f'LANGUAGE="{language}"'] if language else []),
        f"DEFAULT={'YES' if default else 'NO'}",
        "AUTOSELECT=YES",
        *([f'CHANNELS="{channels}"'] if channels else []),
        f'URI="{prefix}{rendition}.m3u8"',
    ]
    return "#EXT-X-MEDIA:" + ",".join(attributes)


def _track_name(rendition: Rendition) -> str:
    """For people, where the encoder gave none."""
    number = rendition.rpartition("-")[2]
    return f"Track {number}" if number.isdigit() else "Main"


def _variant_attributes(
    video: Sequence[TrackInfo], audio: Sequence[TrackInfo], bandwidth: Bandwidth, *, grouped: bool
) -> list[str]:
    codecs = ",".join(dict.fromkeys(track.codec for track in (*video, *audio)))
    attributes = [
        f"BANDWIDTH={bandwidth.peak}",
        f"AVERAGE-BANDWIDTH={bandwidth.average}",
        f'CODECS="{codecs}"',
    ]
    if video:
        largest = max(video, key=lambda track: track.width * track.height)
        rate = max(track.frame_rate or 0.0 for track in video)
        attributes.append(f"RESOLUTION={largest.width}x{largest.height}")
        if rate:
            attributes.append(f"FRAME-RATE={rate:.3f}")
        if video[-1].video_range:
            attributes.append(f"VIDEO-RANGE={video[-1].video_range}")
    if grouped:
        attributes.append(f'AUDIO="{_AUDIO_GROUP}"')
    return attributes
