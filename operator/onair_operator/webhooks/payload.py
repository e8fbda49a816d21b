"""What a webhook says: Mux's envelope, and Mux's LiveStream and Asset made of OnAir's objects. Pure.

Times in `data` are integers of Unix seconds, those of the envelope ISO 8601 with microseconds, as Mux sends
them. `stream_key` is always empty: keys are in Secrets and nowhere else.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from onair_core.contract import EventType, JournalEvent
from onair_operator.eventlog import Attempt, Entry, ObjectRef, Snapshot, Subject
from onair_operator.webhooks.endpoint import Endpoint

_ASSET_EVENTS = "video.asset."
_WARNINGS = (EventType.STREAM_WARNING, EventType.ASSET_WARNING)
_RECONNECT_WINDOW = {"reduced": 0, "low": 0}
_DEFAULT_RECONNECT_WINDOW = 60
_DEFAULT_MAX_DURATION = 43200


@dataclass(frozen=True, slots=True)
class Environment:
    """Which installation speaks: the envelope's `environment`."""

    id: str
    name: str


def snapshot(
    event_type: EventType,
    *,
    stream: Mapping[str, Any] | None = None,
    asset: Mapping[str, Any] | None = None,
    event: JournalEvent | None = None,
) -> Snapshot:
    """What the webhook of an event shows: `asset` for `video.asset.*`, `stream` for the others.

    Both are Kubernetes-shaped objects with the state right after the event. `event` is the journal's record,
    if the event comes from there: its broadcast's asset stays in `idle`, where Mux still shows it, and its
    `data` (duration, tracks, recording times, the message of a warning) prevails over the object's status.
    """
    told = event.data if event else {}
    if event_type.startswith(_ASSET_EVENTS):
        if asset is None:
            raise ValueError(f"{event_type} needs the asset")
        data = asset_data(asset, told)
        ref = ObjectRef("asset", data["id"])
    else:
        if stream is None:
            raise ValueError(f"{event_type} needs the live stream")
        data = live_stream_data(stream, broadcast=event.broadcast.id if event and event.broadcast else None)
        ref = ObjectRef("live", data["id"])
    if event_type in _WARNINGS:
        small = ("id", "active_asset_id", "live_stream_id", "passthrough", "status", "stream_key")
        data = {name: data[name] for name in small if name in data}
        data["warning"] = {"type": _reason_type(told), "message": str(told.get("message", ""))}
    return Snapshot(ref, data)


def live_stream_data(stream: Mapping[str, Any], *, broadcast: str | None = None) -> dict[str, Any]:
    """A LiveStream object as Mux shows it, with `connected` and `recording` as in Mux's webhooks.

    `broadcast` is the asset of the broadcast that the event belongs to: it is shown as the active one also
    when the status no longer has it.
    """
    metadata, spec, status = stream["metadata"], stream.get("spec") or {}, stream.get("status") or {}
    latency = spec.get("latencyMode", "standard")
    window = _RECONNECT_WINDOW.get(latency, _DEFAULT_RECONNECT_WINDOW)
    recent = list(status.get("recentAssets") or ())
    active = broadcast if broadcast in recent else status.get("activeAsset")
    asset_settings = spec.get("newAssetSettings") or {}
    title = spec.get("title")
    live = bool(status.get("connected"))
    return {
        "id": metadata["uid"],
        "created_at": _unix(metadata.get("creationTimestamp")),
        "stream_key": "",
        "status": str(status.get("phase", "Idle")).lower(),
        "connected": live,
        "recording": bool(status.get("recording")),
        **({"active_ingest_protocol": "rtmp"} if live else {}),
        **({"active_asset_id": active} if active else {}),
        "recent_asset_ids": recent,
        "playback_ids": _playback_ids(status.get("playback")),
        "new_asset_settings": {
            "playback_policies": [entry.get("policy", "public") for entry in asset_settings.get("playback") or ()]
        },
        "reconnect_window": status.get("reconnectWindowSeconds", spec.get("reconnectWindowSeconds", window)),
        "latency_mode": latency,
        "max_continuous_duration": spec.get("maxContinuousDurationSeconds", _DEFAULT_MAX_DURATION),
        **({"audio_only": True} if spec.get("audioOnly") else {}),
        **({"passthrough": spec["passthrough"]} if spec.get("passthrough") else {}),
        **({"meta": {"title": title}} if title else {}),
        "test": bool(spec.get("test")),
    }


def asset_data(asset: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An Asset object as Mux shows it. `told` prevails: `duration`, `tracks`, `recording_times`, in Mux's
    form.
    """
    metadata, spec, status = asset["metadata"], asset.get("spec") or {}, asset.get("status") or {}
    told = told or {}
    live = bool(status.get("isLive"))
    phase = str(status.get("phase", "Preparing")).lower()
    duration = told.get("duration", status.get("duration"))
    tracks = told.get("tracks", status.get("tracks"))
    times = told.get("recording_times", status.get("recordingTimes"))
    stream = (spec.get("liveStream") or {}).get("uid")
    title = spec.get("title")
    return {
        "id": metadata["name"],
        "created_at": _unix(metadata.get("creationTimestamp")),
        "status": phase,
        **({"duration": duration} if duration is not None else {}),
        "is_live": live,
        **({"live_stream_id": stream} if stream else {}),
        "ingest_type": "live_rtmp",
        "playback_ids": _playback_ids(status.get("playback") or spec.get("playback")),
        "progress": _progress(phase, live),
        **({"tracks": [_track(track) for track in tracks]} if tracks else {}),
        **({"recording_times": [_recording_time(time) for time in times]} if times else {}),
        **({"errors": _errors(told, status)} if phase == "errored" else {}),
        **({"passthrough": spec["passthrough"]} if spec.get("passthrough") else {}),
        **({"meta": {"title": title}} if title else {}),
        "master_access": "none",
        "mp4_support": "none",
        "test": bool(spec.get("test")),
    }


def envelope(
    entry: Entry,
    subject: Subject,
    environment: Environment,
    attempts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The whole webhook. `data.onair` holds what Mux has no field for; `sequence` counts the subject's
    events.
    """
    own = {
        "namespace": subject.namespace,
        "name": subject.name,
        "sequence": entry.seq,
        **({"broadcast": entry.broadcast.id} if entry.broadcast else {}),
        **({"reason": entry.reason} if entry.reason else {}),
    }
    return {
        "type": entry.type.value,
        "id": entry.id,
        "created_at": _iso(entry.at),
        "object": {"type": entry.object.type, "id": entry.object.id},
        "environment": {"id": environment.id, "name": environment.name},
        "data": {**entry.data, "onair": own},
        "attempts": list(attempts),
        "accessor": None,
        "accessor_source": None,
        "request_id": None,
    }


def encode(webhook: Mapping[str, Any]) -> bytes:
    """The body that is signed and sent."""
    return msgspec.json.encode(webhook)


def attempts_shown(
    entry: Entry, endpoint: Endpoint, attempts: Sequence[Attempt], max_attempts: int
) -> list[dict[str, Any]]:
    """Earlier tries of this event at this endpoint, as Mux shows them in `attempts`, oldest first."""
    return [
        {
            "id": str(uuid.uuid5(uuid.UUID(entry.id), f"{endpoint.uid}/{attempt.number}")),
            "webhook_id": _number(endpoint.uid),
            "address": endpoint.url,
            "created_at": _iso(attempt.at),
            "max_attempts": max_attempts,
            "response_status_code": attempt.status,
            "response_headers": dict(attempt.headers),
            "response_body": attempt.body or attempt.problem,
        }
        for attempt in attempts
    ]


def _number(uid: str) -> int:
    """Mux's webhook ids are numbers, which typed receivers expect; 48 bits are exact also as a double."""
    return uuid.uuid5(uuid.NAMESPACE_OID, uid).int >> 80


def _playback_ids(entries: Sequence[Mapping[str, Any]] | None) -> list[dict[str, str]]:
    return [{"id": e["id"], "policy": e.get("policy", "public")} for e in entries or () if e.get("id")]


def _progress(phase: str, live: bool) -> dict[str, Any]:
    if phase == "errored":
        return {"state": "errored", "progress": -1}
    return {"state": "live", "progress": -1} if live else {"state": "completed", "progress": 100}


def _errors(told: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    message = told.get("message", status.get("message", ""))
    return {"type": _reason_type(told), "messages": [str(message)] if message else []}


def _track(track: Mapping[str, Any]) -> dict[str, Any]:
    return {_snake(name): value for name, value in track.items()}


def _recording_time(time: Mapping[str, Any]) -> dict[str, Any]:
    found = {_snake(name): value for name, value in time.items()}
    started = found.get("started_at")
    if isinstance(started, int | float):
        found["started_at"] = _iso(started)
    return {"type": "content", **found}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _reason_type(told: Mapping[str, Any]) -> str:
    """Mux's types of warnings and errors are snake case, OnAir's reasons are not."""
    return _snake(str(told.get("reason", "unknown"))).lstrip("_")


def _unix(timestamp: object) -> int:
    """Of a Kubernetes timestamp (`2026-11-23T10:00:00Z`), a datetime or Unix seconds; 0 for nothing."""
    if timestamp is None:
        return 0
    if isinstance(timestamp, int | float):
        return int(timestamp)
    moment = timestamp if isinstance(timestamp, datetime) else datetime.fromisoformat(str(timestamp))
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
