"""What a tag body holds: a codec configuration (sequence header), a frame, or what is said about a track.

Frames are made a hundred times a second for each publisher: they are not frozen, which would cost three times as much.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from onair_media.flv.colour import Colour
from onair_media.flv.pictures import Picture

VideoCodec = Literal["avc", "hevc", "av1", "vp9"]
AudioCodec = Literal["aac", "opus", "flac", "ac3", "eac3", "mp3"]


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """A sequence header; `record` is the decoder configuration record (`avcC`, `hvcC`, `av1C`, `vpcC`)."""

    codec: VideoCodec
    record: bytes
    track: int = 0
    colour: Colour | None = None


@dataclass(slots=True)
class VideoFrame:
    """A coded frame, as the sample of an MP4 file has it (AVC and HEVC: length-prefixed NAL units).

    `keyframe`: as the publisher says; `picture`: what it is, once somebody has looked (`picture_of`).
    `composition_time` in milliseconds, signed. `nanoseconds`, below a million, are to be added to the timestamp.
    """

    codec: VideoCodec
    keyframe: bool
    composition_time: int
    data: memoryview = field(repr=False)
    track: int = 0
    nanoseconds: int = 0
    picture: Picture = Picture.DELTA

    @property
    def begins(self) -> bool:
        """Whether a decoder can begin with it."""
        return self.picture >= Picture.RECOVERY


@dataclass(frozen=True, slots=True)
class VideoColour:
    """The colour of what follows; None: as the bitstream says."""

    colour: Colour | None
    track: int = 0


@dataclass(frozen=True, slots=True)
class VideoEnd:
    """End of sequence: nothing follows it in this sequence."""

    track: int = 0


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """A sequence header. `record` is the AudioSpecificConfig, the OpusHead, the STREAMINFO block of FLAC.

    MP3, AC-3 and E-AC-3 have none: their `record` is made of what their frames say of themselves (`flv.codecs`).
    """

    codec: AudioCodec
    record: bytes
    track: int = 0


@dataclass(slots=True)
class AudioFrame:
    """A coded frame. `nanoseconds`, below a million, are to be added to the timestamp."""

    begins: ClassVar[bool] = True
    """A decoder can begin with any of them."""

    codec: AudioCodec
    data: memoryview = field(repr=False)
    track: int = 0
    nanoseconds: int = 0


VideoUnit = VideoConfig | VideoFrame | VideoColour | VideoEnd
AudioUnit = AudioConfig | AudioFrame
