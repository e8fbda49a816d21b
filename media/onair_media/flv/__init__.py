"""RTMP payloads (FLV tag bodies) to codec configurations and frames. Pure; every failure is a `MediaError`."""

from onair_media.flv.codecs import (
    codec_string,
    config_in,
    describe_audio,
    describe_video,
    family,
    frame_samples,
    normalised,
)
from onair_media.flv.colour import Colour, encode_colour
from onair_media.flv.enhanced import AUDIO_FOURCCS, VIDEO_FOURCCS
from onair_media.flv.errors import MediaError, UnsupportedCodecError
from onair_media.flv.info import AudioInfo, VideoInfo
from onair_media.flv.nal import units_in
from onair_media.flv.pictures import Picture, as_broken_link, picture_of
from onair_media.flv.tags import parse_audio, parse_video
from onair_media.flv.units import (
    AudioCodec,
    AudioConfig,
    AudioFrame,
    AudioUnit,
    VideoCodec,
    VideoColour,
    VideoConfig,
    VideoEnd,
    VideoFrame,
    VideoUnit,
)

__all__ = [
    "AUDIO_FOURCCS",
    "VIDEO_FOURCCS",
    "AudioCodec",
    "AudioConfig",
    "AudioFrame",
    "AudioInfo",
    "AudioUnit",
    "Colour",
    "MediaError",
    "Picture",
    "UnsupportedCodecError",
    "VideoCodec",
    "VideoColour",
    "VideoConfig",
    "VideoEnd",
    "VideoFrame",
    "VideoInfo",
    "VideoUnit",
    "as_broken_link",
    "codec_string",
    "config_in",
    "describe_audio",
    "describe_video",
    "encode_colour",
    "family",
    "frame_samples",
    "normalised",
    "parse_audio",
    "parse_video",
    "picture_of",
    "units_in",
]
