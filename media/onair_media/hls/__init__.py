"""HLS (RFC 8216bis): what exists now (`window`), how it is written (`playlist`), its rate (`bandwidth`).

Pure: no sockets, files or clocks. A recording is written down by `growing`, with the same lines.
"""

from onair_media.hls.bandwidth import Bandwidth, BandwidthMeter, together
from onair_media.hls.broadcast import DISCONTINUITIES_PER_EPOCH
from onair_media.hls.growing import GrowingPlaylist
from onair_media.hls.playlist import Entry, Header, Playlist, media_playlist, multivariant_playlist
from onair_media.hls.window import LiveWindow

__all__ = [
    "DISCONTINUITIES_PER_EPOCH",
    "Bandwidth",
    "BandwidthMeter",
    "Entry",
    "GrowingPlaylist",
    "Header",
    "LiveWindow",
    "Playlist",
    "media_playlist",
    "multivariant_playlist",
    "together",
]
