"""CMAF packaging: frames to init segments and media segments. No sockets, files or clocks."""

from onair_media.cmaf.init import Init
from onair_media.cmaf.model import InitSegment, Part, Segment, TrackInfo, TrackSegment
from onair_media.cmaf.packager import CodecChanged, Output, Packager
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
    "TrackInfo",
    "TrackSegment",
    "WhenNeeded",
]
