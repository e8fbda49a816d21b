"""One LiveStream on this machine: its lifecycle, its publisher, its pipeline, its live window.

The rules are in `onair_media.lifecycle`; here its inputs are gathered (connections, media, timers, configuration), its
events go to the journal and its commands are carried out, in the order it gives them.
"""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)

# After the end the live playback ID goes on serving the last playlist, with ENDLIST, for this long (DESIGN: Life of a broadcast).
ENDED_WINDOW_SECONDS = 60.0
PIPELINE_TICK_SECONDS = 0.25
