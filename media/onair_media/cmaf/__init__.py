"""CMAF packaging: frames to init segments and media segments. No sockets, files or clocks."""

from onair_media.cmaf.model import InitSegment, Part, Segment, TrackInfo, TrackSegment
from onair_media.cmaf.packager import CodecChanged, Output, Packager

__all__ = [
    "CodecChanged",
    "InitSegment",
    "Output",
    "Packager",
    "Part",
    "Segment",
    "TrackInfo",
    "TrackSegment",
]
