"""CMAF packaging: frames to init segments and media segments. No sockets, files or clocks."""

from onair_media.cmaf.changes import CodecChanged, Output, TrackIgnored, TracksChanged
from onair_media.cmaf.init import Init
from onair_media.cmaf.model import InitSegment, Part, Segment, TrackInfo, TrackSegment
from onair_media.cmaf.packager import Packager
from onair_media.cmaf.preparation import Preparation, Prepare, WhenNeeded

__all__ = [
    "CodecChanged",
    "Init",
    "InitSegment",
    "Output",
    "Packager",
    "Part",
    "Preparation",
    "Prepare",
    "Segment",
    "TrackIgnored",
    "TrackInfo",
    "TrackSegment",
    "TracksChanged",
    "WhenNeeded",
]
