"""HLS over HTTP: the routes a viewer sees, the same in an ingest pod, an edge and `onair local`.

`handlers` decides, `replies` writes responses down (pure), `requests` reads conditions, ranges and parameters
(pure), `response` puts the bytes on the wire, `page` serves the player. `server` lets viewers in, `express` is the
short way for the bulk of what they ask (`head` recognises it), `limits` is how much of the process they may take.
"""

from onair_media.playback.limits import Limits, limits_of_process
from onair_media.playback.live import LivePlayable
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.playable import Directory, Media, MediaSource, Playable
from onair_media.playback.reports import request_logger
from onair_media.playback.routes import add_routes
from onair_media.playback.server import PlaybackServer

__all__ = [
    "Directory",
    "Limits",
    "LivePlayable",
    "Media",
    "MediaSource",
    "Playable",
    "PlaybackMetrics",
    "PlaybackServer",
    "add_routes",
    "limits_of_process",
    "request_logger",
]
