"""What playlists and packaging need to know of a codec configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """`codec` for playlists (RFC 6381). Size in pixels, cropped, and frames a second where the record tells them.

    `nal_length`: bytes of the lengths before NAL units; 0 for codecs that have none. `chroma`: how the codec string
    goes on when it tells the colour, too, and `usual_chroma` whether that is 4:2:0 as everybody has it.
    """

    codec: str
    width: int = 0
    height: int = 0
    frame_rate: float | None = None
    nal_length: int = 0
    chroma: str = ""
    usual_chroma: bool = True


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """`codec` for playlists (RFC 6381); `sample_rate` in Hz. `frame_samples`: what most frames of this codec have."""

    codec: str
    sample_rate: int
    channels: int
    frame_samples: int
