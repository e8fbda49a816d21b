"""What playlists and packaging need to know of a codec configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """`codec` for playlists (RFC 6381). Size in pixels, cropped, and frames a second where the record tells them."""

    codec: str
    width: int = 0
    height: int = 0
    frame_rate: float | None = None


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """`codec` for playlists (RFC 6381); `sample_rate` in Hz. `frame_samples`: what most frames of this codec have."""

    codec: str
    sample_rate: int
    channels: int
    frame_samples: int
