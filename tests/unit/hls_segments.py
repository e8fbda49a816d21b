"""Segments for tests of playlists: real types, made-up media."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from onair_core.contract import BroadcastRef
from onair_media.cmaf.model import InitSegment, Part, Rendition, Segment, TrackInfo, TrackSegment
from onair_media.hls import LiveWindow

BROADCAST = BroadcastRef(id="keynote-7f3k2", epoch=2)
START = 1_790_000_000.25

VIDEO = TrackInfo("video", "avc1.64001f", width=1280, height=720, frame_rate=29.97)
AUDIO = TrackInfo("audio", "mp4a.40.2", channels=2, sample_rate=48000)
BOTH: tuple[Rendition, ...] = ("video", "audio")


def init(rendition: Rendition, index: int = 0, track: TrackInfo | None = None) -> InitSegment:
    info = track or (VIDEO if rendition == "video" else AUDIO)
    return InitSegment(rendition, index, f"init {rendition} {index}".encode(), info)


def segment(
    number: int,
    duration: float = 2.0,
    *,
    start: float | None = None,
    renditions: Sequence[Rendition] = BOTH,
    discontinuity: bool = False,
    independent: bool = True,
    gap: Sequence[Rendition] = (),
    init_index: int = 0,
    size: int = 1000,
) -> Segment:
    at = number * duration if start is None else start
    tracks = {
        name: TrackSegment(
            init=init_index if name == "video" else 0,
            start=at,
            duration=duration,
            program_date_time=START + at,
            data=b"" if name in gap else bytes(size if name == "video" else size // 10),
            parts=(Part(0, size, duration, independent),),
            independent=independent or name == "audio",
            gap=name in gap,
        )
        for name in renditions
    }
    return Segment(number, discontinuity, tracks)


def window_with(
    segments: Sequence[Segment],
    *,
    target_duration: int | None = 2,
    broadcast: BroadcastRef = BROADCAST,
    window: LiveWindow | None = None,
) -> LiveWindow:
    window = window or LiveWindow(30.0)
    window.begin(broadcast)
    for rendition in segments[0].tracks if segments else BOTH:
        window.add_init(init(rendition))
    if target_duration is not None:
        window.fix_target_duration(target_duration)
    for one in segments:
        window.add_segment(one)
    return window


@dataclass(frozen=True)
class Listed:
    """What a media playlist says, read back with the plainest possible parser."""

    text: str

    @property
    def uris(self) -> list[str]:
        return [line for line in self.text.splitlines() if line and not line.startswith("#")]

    @property
    def durations(self) -> list[float]:
        return [float(value) for value in re.findall(r"#EXTINF:([0-9.]+),", self.text)]

    @property
    def media_sequence(self) -> int:
        return self.number("EXT-X-MEDIA-SEQUENCE")

    @property
    def discontinuity_sequence(self) -> int:
        return self.number("EXT-X-DISCONTINUITY-SEQUENCE")

    def number(self, tag: str) -> int:
        found = re.findall(rf"^#{tag}:(\d+)$", self.text, re.M)
        assert len(found) == 1, f"{tag} stands {len(found)} times"
        return int(found[0])

    def discontinuity_numbers(self) -> dict[str, int]:
        """Each segment's discontinuity sequence number (RFC 8216bis 4.4.3.3)."""
        number, numbers = self.discontinuity_sequence, {}
        for line in self.text.splitlines():
            if line == "#EXT-X-DISCONTINUITY":
                number += 1
            elif line and not line.startswith("#"):
                numbers[line] = number
        return numbers


def listed(window: LiveWindow, rendition: str = "video") -> Listed:
    playlist = window.media_playlist(rendition)
    assert playlist is not None
    return Listed(playlist.text.decode())
