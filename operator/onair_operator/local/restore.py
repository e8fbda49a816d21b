"""A lost event log, made anew from the journal, which keeps for a while what it was made of. Pure.

Status has these events already: what is built up here is only what their webhooks show. They have the ids they had, so
a receiver that got one before recognises it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from onair_core.contract import JournalEvent, Phase
from onair_operator.decide.status import new_asset_status
from onair_operator.eventlog import EventLog, Snapshot, append_journal
from onair_operator.webhooks import snapshot

Object = dict[str, Any]

# What is older was delivered, or given up.
RESTORED_SECONDS = 86400.0
_OF_A_BROADCAST = ("broadcast", "activeAsset", "events")


def restorable(recorded: Iterable[JournalEvent], last: tuple[int, int], now: float) -> list[JournalEvent]:
    """The events up to `last`, the newest that status knows, of the last day."""
    return [e for e in recorded if (e.epoch, e.n) <= last and e.at >= now - RESTORED_SECONDS]


def past_snapshots(
    stream: Object, past: Sequence[JournalEvent], after: Callable[[Object, dict[str, Object], JournalEvent], Object]
) -> list[tuple[JournalEvent, Snapshot]]:
    """The events with what they show. `after(stream, assets, event)` gives the stream as it is then, and changes
    `assets`, which are by broadcast.
    """
    status = {name: value for name, value in stream.get("status", {}).items() if name not in _OF_A_BROADCAST}
    idle = {"phase": Phase.IDLE.value, "connected": False, "recording": False}
    stream, assets = {**stream, "status": status | idle}, dict[str, Object]()
    shown = []
    for event in past:
        name = event.broadcast.id if event.broadcast else ""
        begins = name not in assets
        stream = after(stream, assets, event)
        if begins and name in assets:
            # It was found as it is today.
            playback = assets[name].get("status", {}).get("playback", [])
            assets[name]["status"] = new_asset_status(event, playback)
            stream = after(stream, assets, event)
        shown.append((event, snapshot(event.type, stream=stream, asset=assets.get(name), event=event)))
    return shown


def append_past(log: EventLog, shown: Iterable[tuple[JournalEvent, Snapshot]]) -> EventLog:
    """The log with these events, as of when they happened: endpoints that came later do not get them."""
    for event, made in shown:
        log = append_journal(log, [event], lambda _, made=made: made, now=event.at)  # type: ignore[misc]
    return log
