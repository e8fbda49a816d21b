"""What a channel was in when the process before this one ended."""

from __future__ import annotations

import msgspec
import structlog

from onair_media import lifecycle
from onair_media.ingest.journal import Journal

log = structlog.get_logger(__name__)

_state_decoder = msgspec.json.Decoder(lifecycle.State)


def restored_state(journal: Journal) -> lifecycle.State | None:
    """What an earlier process was in; None where there is none, or none that can be read."""
    if journal.state is None:
        return None
    try:
        return _state_decoder.decode(journal.state)
    except msgspec.DecodeError as error:
        log.error("the state of a channel cannot be read; it begins anew", problem=str(error))
        return None
