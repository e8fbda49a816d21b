"""HLS over HTTP: the routes a viewer sees, the same in an ingest pod, an edge and `onair local`.

`handlers` decides, `replies` writes responses down (pure), `requests` reads conditions, ranges and parameters
(pure), `response` puts the bytes on the wire, `page` serves the player. `express` is the short way for the bulk.
"""

from onair_media.playback.express import PlaybackServer
from onair_media.playback.live import LivePlayable
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.playable import Directory, Media, MediaSource, Playable, Titled
from onair_media.playback.routes import add_routes

__all__ = [
    "Directory",
    "LivePlayable",
    "Media",
    "MediaSource",
    "Playable",
    "PlaybackMetrics",
    "PlaybackServer",
    "Titled",
    "add_routes",
]
