"""Which events a change of a LiveStream's manifest causes: told by what was observed last, not by who saw the edit.

The mark of the spec that was told of is written together with status, after the events are in the log. So a process
killed in between tells the same events again, with the same ids, and none is lost.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from onair_core.contract import EventType
from onair_operator.local.bookkeeping import OBSERVED, noted

_DISABLED = " disabled"


def mark(spec: dict[str, Any]) -> str:
    """A digest of everything but `disabled`, and that."""
    rest = {name: value for name, value in spec.items() if name != "disabled"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]
    return digest + (_DISABLED if spec.get("disabled") else "")


def events_of_change(stream: dict[str, Any], playback: list[dict[str, Any]]) -> list[tuple[EventType, str]]:
    """The events, each with the key that makes it unique. `playback`: what status.playback is about to be."""
    metadata = stream["metadata"]
    told = noted(stream, OBSERVED)
    now = mark(stream["spec"])
    if told is None:
        return [(EventType.STREAM_CREATED, "created")]
    generation = f"generation-{metadata['generation']}"
    if told == now:
        old = stream.get("status", {}).get("playback", [])
        if _ids(old) == _ids(playback):
            return []
        return [(EventType.STREAM_UPDATED, f"playback-{metadata.get('resourceVersion', '')}")]
    events = []
    was, is_now = told.endswith(_DISABLED), now.endswith(_DISABLED)
    if was != is_now:
        events.append((EventType.STREAM_DISABLED if is_now else EventType.STREAM_ENABLED, generation))
    if told.removesuffix(_DISABLED) != now.removesuffix(_DISABLED):
        events.append((EventType.STREAM_UPDATED, generation))
    return events


def _ids(playback: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """What of the playback IDs matters to others; their URLs change with this machine's addresses."""
    return sorted((entry["name"], entry["id"], entry["policy"]) for entry in playback)
