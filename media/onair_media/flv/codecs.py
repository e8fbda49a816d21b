"""One entrance to what is known of each codec."""

from __future__ import annotations

from onair_media.flv import aac, ac3, av1, avc, flac, hevc, mp3, opus, vp9
from onair_media.flv.info import AudioInfo, VideoInfo
from onair_media.flv.units import AudioConfig, AudioFrame, VideoConfig

_VIDEO = {"avc": avc.parse_config, "hevc": hevc.parse_config, "av1": av1.parse_config, "vp9": vp9.parse_config}
_AUDIO = {
    "aac": aac.parse_config,
    "opus": opus.parse_config,
    "flac": flac.parse_config,
    "ac3": ac3.parse_config,
    "eac3": ac3.parse_config,
    "mp3": mp3.parse_config,
}
_NORMALISE = {"opus": opus.normalise, "flac": flac.normalise}
_RECORD_OF = {"ac3": ac3.record_of, "eac3": ac3.record_of, "mp3": mp3.record_of}
_SAMPLES = {"opus": opus.packet_samples, "flac": flac.frame_samples}


def family(codec: str) -> str:
    """Which codec an RFC 6381 string means, whatever the profile: players cannot go on with another."""
    return codec if codec.startswith("mp4a.40.34") else codec.partition(".")[0]


def describe_video(config: VideoConfig) -> VideoInfo:
    """Raises `MediaError`."""
    return _VIDEO[config.codec](config.record)


_COLOUR_IN_CODEC = {"av1": 1, "vp9": 2}  # with so many digits for full range
_UNSPECIFIED, _BT_709 = 2, 1  # code points of ITU-T H.273


def codec_string(config: VideoConfig, colour: tuple[int, int, int], *, full_range: bool) -> str:
    """The RFC 6381 string, with `colour` (primaries, transfer, matrix: ITU-T H.273) where the codec has a place for it.

    AV1 and VP9 read a string without them as BT.709, 4:2:0, limited range (AV1 in ISO BMFF, 5; VP codec ISO media file
    format binding, "Codecs parameter string"). Raises `MediaError`.
    """
    info = describe_video(config)
    digits = _COLOUR_IN_CODEC.get(config.codec)
    points = tuple(_BT_709 if point == _UNSPECIFIED else point for point in colour)
    if digits is None or (info.usual_chroma and not full_range and points == (_BT_709,) * 3):
        return info.codec
    return ".".join([info.codec, info.chroma, *(f"{point:02d}" for point in points), f"{full_range:0{digits}d}"])


def describe_audio(config: AudioConfig) -> AudioInfo:
    """Raises `MediaError`."""
    return _AUDIO[config.codec](config.record)


def normalised(config: AudioConfig) -> AudioConfig:
    """The same configuration in the one form that `describe_audio` and libavformat read."""
    normalise = _NORMALISE.get(config.codec)
    return AudioConfig(config.codec, normalise(config.record), config.track) if normalise else config


def config_in(frame: AudioFrame) -> AudioConfig | None:
    """The configuration that a frame carries itself; None for codecs that have sequence headers.

    Raises `MediaError`.
    """
    record_of = _RECORD_OF.get(frame.codec)
    return AudioConfig(frame.codec, record_of(frame.data), frame.track) if record_of else None


def frame_samples(frame: AudioFrame, usual: int) -> int:
    """Samples of one frame; `usual` where all of a codec's frames have the same. Raises `MediaError`."""
    samples = _SAMPLES.get(frame.codec)
    return samples(frame.data) if samples else usual
