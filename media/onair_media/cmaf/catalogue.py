"""What the publisher sends: the configuration of each track, and what is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from onair_core.playback.renditions import Rendition, audio_rendition, is_video
from onair_media.cmaf.init import VIDEO_TIMESCALE
from onair_media.cmaf.model import TrackInfo
from onair_media.flv import (
    AudioConfig,
    Colour,
    MediaError,
    VideoConfig,
    describe_audio,
    describe_video,
    family,
    normalised,
)

MAX_AUDIO_TRACKS = 8
_LANGUAGE, _NAME = ("language", "lang"), ("name", "title", "label", "trackName")
_MAX_LABEL = 64

Config = VideoConfig | AudioConfig


class News(Enum):
    """What a configuration means to what was known."""

    NONE = auto()  # repeated with every key frame by some encoders
    FIRST = auto()
    CHANGED = auto()
    OTHER_CODEC = auto()
    UNUSABLE = auto()  # counted


@dataclass(frozen=True, slots=True)
class Described:
    """A configuration as the packager needs it.

    `frame_samples`: what most frames have (audio). `nal_length`: bytes of the lengths before NAL units, or 0 (video).
    """

    info: TrackInfo
    timescale: int
    frame_samples: int = 0
    nal_length: int = 0


class Catalogue:
    """One broadcast's. `dropped` counts, by reason, what cannot be used.

    `codecs`: the RFC 6381 strings of what earlier epochs have.
    """

    def __init__(self, dropped: Counter[str], codecs: Mapping[Rendition, str] | None = None) -> None:
        self.configs: dict[Rendition, Config] = {}
        self.expected: set[Rendition] = set()
        """Audio tracks that metadata announces."""
        self._dropped = dropped
        self._earlier = dict(codecs or {})
        self._colour: Colour | None = None
        self._labels: dict[Rendition, tuple[str, str]] = {}

    def learn(self, rendition: Rendition, config: Config) -> News:
        """Takes in a sequence header."""
        if isinstance(config, AudioConfig):
            config = normalised(config)
        else:
            config = replace(config, colour=self._colour)
        known = self.configs.get(rendition)
        if known == config:
            return News.NONE
        if known is not None and known.codec != config.codec:
            return News.OTHER_CODEC
        if known is None and not is_video(rendition) and self._audio_tracks() >= MAX_AUDIO_TRACKS:
            self._dropped["audio track beyond the most allowed"] += 1
            return News.UNUSABLE
        try:
            codec = _describe(config).info.codec
        except MediaError as error:
            self._dropped[error.reason] += 1
            return News.UNUSABLE
        if known is None and family(self._earlier.get(rendition, codec)) != family(codec):
            return News.OTHER_CODEC
        self.configs[rendition] = config
        return News.FIRST if known is None else News.CHANGED

    @property
    def codecs(self) -> dict[Rendition, str]:
        """RFC 6381 strings of everything that was learned, in this epoch or an earlier one."""
        return self._earlier | {name: self.describe(name).info.codec for name in self.configs}

    def learn_colour(self, colour: Colour | None) -> None:
        """Holds for the video configuration that `learn` gets next."""
        self._colour = colour

    def learn_labels(self, metadata: Mapping[str, object]) -> None:
        """`onMetaData`: which audio tracks there are, and their languages and names.

        Enhanced RTMP (v2, "Enhancing onMetaData") keeps them in `audioTrackIdInfoMap`; it leaves the properties open.
        """
        tracks = metadata.get("audioTrackIdInfoMap")
        for key, value in list(tracks.items())[:256] if isinstance(tracks, Mapping) else ():
            if isinstance(key, str) and key.isdigit() and int(key) < 256:
                rendition = audio_rendition(int(key))
                properties = value if isinstance(value, Mapping) else {}
                self._labels[rendition] = (_label(properties, _LANGUAGE), _label(properties, _NAME))
                if len(self.expected) < MAX_AUDIO_TRACKS:
                    self.expected.add(rendition)

    def describe(self, rendition: Rendition) -> Described:
        """Of a rendition whose configuration is known."""
        found = _describe(self.configs[rendition])
        language, name = self._labels.get(rendition, ("", ""))
        return replace(found, info=replace(found.info, rendition=rendition, language=language, name=name))

    def _audio_tracks(self) -> int:
        return sum(not is_video(rendition) for rendition in self.configs)


def _describe(config: Config) -> Described:
    """Raises `MediaError`."""
    if isinstance(config, VideoConfig):
        video = describe_video(config)
        info = TrackInfo("", video.codec, video.width, video.height, frame_rate=video.frame_rate)
        return Described(info, VIDEO_TIMESCALE, nal_length=video.nal_length)
    audio = describe_audio(config)
    info = TrackInfo("", audio.codec, channels=audio.channels, sample_rate=audio.sample_rate)
    return Described(info, audio.sample_rate, audio.frame_samples)


def _label(properties: Mapping[str, object], names: tuple[str, ...]) -> str:
    """The first of these that is a text fit for an attribute of a playlist."""
    for name in names:
        value = properties.get(name)
        if isinstance(value, str) and 0 < len(value) <= _MAX_LABEL and value.isprintable() and '"' not in value:
            return value
    return ""
