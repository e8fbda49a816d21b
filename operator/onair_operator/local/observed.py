"""Which events a change of a LiveStream's manifest causes: told by what was observed last, not by who saw the edit.

The mark of the spec that was told of is written together with status, after the events are in the log. So a process
killed in between tells the same events again, with the same ids, and none is lost. Playback IDs can change without the
manifest: of those, what the log showed last is what was told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from onair_core.contract import EventType
from onair_operator.eventlog import Entry
from onair_operator.local.bookkeeping import OBSERVED, noted

_DISABLED = " disabled"


def mark(spec: dict[str, Any]) -> str:
    """A digest of everything but `disabled`, and that."""
    rest = {name: value for name, value in spec.items() if name != "disabled"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]
    return digest + (_DISABLED if spec.get("disabled") else "")


def events_of_change(
    stream: dict[str, Any], playback: list[dict[str, Any]], log: Sequence[Entry]
) -> list[tuple[EventType, str]]:
    """The events, each with the key that makes it unique. `playback`: what status.playback is about to be; `log`: the
    entries of the stream's event log.
    """
    metadata = stream["metadata"]
    told = noted(stream, OBSERVED)
    now = mark(stream["spec"])
    if told is None:
        return [(EventType.STREAM_CREATED, "created")]
    if told == now:
        if _shown(stream.get("status", {}).get("playback", [])) == _shown(playback):
            return []
        return _playback_changed(_shown(playback), log)
    generation = f"generation-{metadata['generation']}"
    events = []
    was, is_now = told.endswith(_DISABLED), now.endswith(_DISABLED)
    if was != is_now:
        events.append((EventType.STREAM_DISABLED if is_now else EventType.STREAM_ENABLED, generation))
    if told.removesuffix(_DISABLED) != now.removesuffix(_DISABLED):
        events.append((EventType.STREAM_UPDATED, generation))
    return events


def _playback_changed(shown: list[tuple[str, str]], log: Sequence[Entry]) -> list[tuple[EventType, str]]:
    newest = next((e for e in reversed(log) if e.object.type == "live" and "playback_ids" in e.data), None)
    if newest is not None and _shown(newest.data["playback_ids"]) == shown:
        return []  # told already, by a process that was killed before it wrote status
    cause = json.dumps([newest.id if newest else "", shown])
    return [(EventType.STREAM_UPDATED, f"playback-{hashlib.sha256(cause.encode()).hexdigest()[:16]}")]


def _shown(playback: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What webhooks show of playback IDs; their URLs change with this machine's addresses."""
    return sorted((entry["id"], entry["policy"]) for entry in playback)
