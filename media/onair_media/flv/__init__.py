"""RTMP payloads (FLV tag bodies) to codec configurations and frames. Pure; every failure is a `MediaError`."""

from onair_media.flv.errors import MediaError
from onair_media.flv.tags import parse_audio, parse_video
from onair_media.flv.units import (
    AudioConfig,
    AudioFrame,
    AudioUnit,
    VideoConfig,
    VideoEnd,
    VideoFrame,
    VideoUnit,
)

__all__ = [
    "AudioConfig",
    "AudioFrame",
    "AudioUnit",
    "MediaError",
    "VideoConfig",
    "VideoEnd",
    "VideoFrame",
    "VideoUnit",
    "parse_audio",
    "parse_video",
]
