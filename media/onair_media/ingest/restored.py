"""What a channel was in when the process before this one ended, here or in another pod."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import structlog

from onair_core.contract import BroadcastRef, OpenBroadcast
from onair_media import lifecycle
from onair_media.ingest.journal import Journal

log = structlog.get_logger(__name__)

# A pod that is gone may have begun epochs of which it could tell nobody: its container was restarted, then it was lost.
UNTOLD_EPOCHS = 8

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


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a channel begins in this process: its state, and an epoch that nothing was told of before."""

    state: lifecycle.State
    epoch: int


def beginning(journal: Journal, settings: lifecycle.Settings, resumes: OpenBroadcast | None = None) -> Beginning:
    """From the journal; where that knows of nothing, with what another pod had begun (`resumes`)."""
    restored = restored_state(journal)
    if restored is None and resumes is not None:
        continued = _continued_state(resumes, settings, journal.last_epoch)
        return Beginning(continued, journal.last_epoch + UNTOLD_EPOCHS)
    return Beginning(restored or lifecycle.State(settings=settings), journal.last_epoch + 1)


def _continued_state(begun: OpenBroadcast, settings: lifecycle.Settings, epoch: int) -> lifecycle.State:
    """What is known of a broadcast of which this process has no journal. `epoch`: one that is over.

    Nobody knows how far its media had come that viewers saw, but it cannot have come further than the clock has.
    """
    shown = lifecycle.Progress(
        at=begun.disconnected_at or begun.started_at,
        media_end=max(0.0, (begun.disconnected_at or begun.started_at) - begun.started_at),
    )
    broadcast = lifecycle.Broadcast(
        ref=BroadcastRef(begun.id, epoch),
        started_at=begun.started_at,
        store=begun.store,
        media_started=begun.active,
        recorded=begun.active,
        active_at=begun.started_at if begun.active else None,
        ready=begun.ready,
        disconnected_at=begun.disconnected_at,
        progress=shown,
    )
    return lifecycle.State(settings=settings, broadcast=broadcast)
