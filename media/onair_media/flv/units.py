"""What a tag body holds: a codec configuration (sequence header) or a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

VideoCodec = Literal["avc"]
AudioCodec = Literal["aac"]


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """A sequence header; `record` is the decoder configuration record (`avcC`)."""

    codec: VideoCodec
    record: bytes


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A coded frame: `data` as the record's length-prefixed NAL units, `composition_time` in milliseconds, signed."""

    codec: VideoCodec
    keyframe: bool
    composition_time: int
    data: memoryview = field(repr=False)


@dataclass(frozen=True, slots=True)
class VideoEnd:
    """End of sequence: nothing follows it in this sequence."""


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """A sequence header; `record` is the AudioSpecificConfig."""

    codec: AudioCodec
    record: bytes


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A coded frame."""

    codec: AudioCodec
    data: memoryview = field(repr=False)


VideoUnit = VideoConfig | VideoFrame | VideoEnd
AudioUnit = AudioConfig | AudioFrame
