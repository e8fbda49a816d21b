"""What a packager says besides segments: that what the publisher sends does not fit into the broadcast."""

from __future__ import annotations

from dataclasses import dataclass

from onair_core.playback.renditions import Rendition
from onair_media.cmaf.catalogue import Config
from onair_media.cmaf.gathering import Held
from onair_media.cmaf.model import InitSegment, Segment


@dataclass(frozen=True, slots=True)
class CodecChanged:
    """The publisher sends another codec than this broadcast began with: the caller ends the broadcast.

    `configurations`: what the publisher sends now, for the packager of the next one.
    """

    rendition: Rendition
    old: str
    new: str
    configurations: tuple[Config, ...] = ()


@dataclass(frozen=True, slots=True)
class TracksChanged:
    """The publisher sends a track that the broadcast began without, and nobody could watch it yet: the caller ends the
    broadcast.

    `configurations` and `frames`: what the publisher sends now, for the packager of the next one.
    """

    rendition: Rendition
    configurations: tuple[Config, ...]
    frames: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class TrackIgnored:
    """The publisher sends a track that the broadcast's playlists do not have; said once a connection."""

    rendition: Rendition


Output = InitSegment | Segment | CodecChanged | TracksChanged | TrackIgnored
