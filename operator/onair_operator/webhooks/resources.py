"""Mux's LiveStream and Asset, made of OnAir's objects: the `data` of webhooks. Pure.

Fields and types are those of webhooks in Mux's SDKs (`WebhookLiveStream`, `WebhookAsset`), which here and there differ
from its REST API's. `stream_key` is always empty: keys are in Secrets and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import gcd
from typing import Any

from onair_core.contract import EventType, JournalEvent
from onair_operator.eventlog import ObjectRef, Snapshot

_ASSET_EVENTS = "video.asset."
_WARNINGS = (EventType.STREAM_WARNING, EventType.ASSET_WARNING)
_RECONNECT_WINDOW = {"reduced": 0, "low": 0}
_DEFAULT_RECONNECT_WINDOW = 60
_DEFAULT_MAX_DURATION = 43200
# By the shorter side of the picture; the first is also the lowest that Mux knows.
_TIERS = ((1080, "1080p"), (1440, "1440p"), (2160, "2160p"))


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
    phase = str(status.get("state", "Preparing")).lower()
    duration = told.get("duration", status.get("duration"))
    tracks = [_in_snake_case(track) for track in told.get("tracks", status.get("tracks")) or ()]
    times = told.get("recording_times", status.get("recordingTimes")) or ()
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
        **_picture(tracks),
        **({"recording_times": [_recording_time(time) for time in times]} if times else {}),
        **({"errors": _errors(told, status)} if phase == "errored" else {}),
        **({"passthrough": spec["passthrough"]} if spec.get("passthrough") else {}),
        **({"meta": {"title": title}} if title else {}),
        "encoding_tier": "smart",
        "master_access": "none",
        "mp4_support": "none",
        "test": bool(spec.get("test")),
    }


def _playback_ids(entries: Sequence[Mapping[str, Any]] | None) -> list[dict[str, str]]:
    return [{"id": e["id"], "policy": e.get("policy", "public")} for e in entries or () if e.get("id")]


def _progress(phase: str, live: bool) -> dict[str, Any]:
    if phase == "errored":
        return {"state": "errored", "progress": -1}
    return {"state": "live", "progress": -1} if live else {"state": "completed", "progress": 100}


def _errors(told: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    message = told.get("message", status.get("error", ""))
    return {"type": _reason_type(told), "messages": [str(message)] if message else []}


def _picture(tracks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What Mux says of an asset's tracks, and of the largest picture in them."""
    if not tracks:
        return {"max_resolution_tier": _TIERS[0][1]}
    video = [t for t in tracks if t.get("type") == "video" and t.get("max_width") and t.get("max_height")]
    if not video:
        return {"max_resolution_tier": _TIERS[0][1], "resolution_tier": "audio-only", "tracks": list(tracks)}
    width, height = max((t["max_width"], t["max_height"]) for t in video)
    side = min(width, height)  # a portrait stream's tier is that of the same picture lying down
    tier = next((name for limit, name in _TIERS if side <= limit), _TIERS[-1][1])
    rates = [t["max_frame_rate"] for t in video if t.get("max_frame_rate")]
    divisor = gcd(width, height)
    return {
        "max_resolution_tier": tier,
        "resolution_tier": "720p" if side <= 720 else tier,
        "aspect_ratio": f"{width // divisor}:{height // divisor}",
        **({"max_stored_frame_rate": max(rates)} if rates else {}),
        "tracks": list(tracks),
    }


def _recording_time(time: Mapping[str, Any]) -> dict[str, Any]:
    """Mux's webhooks have `started_at` in seconds and nanoseconds, though its REST API has ISO 8601."""
    found = _in_snake_case(time)
    if "started_at" in found:
        microseconds = round(_seconds(found["started_at"]) * 1_000_000)
        seconds, rest = divmod(microseconds, 1_000_000)
        found["started_at"] = {"seconds": seconds, "nanos": rest * 1000}
    return {"type": "content", **found}


def _in_snake_case(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_snake(name): value for name, value in fields.items()}


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _reason_type(told: Mapping[str, Any]) -> str:
    """Mux's types of warnings and errors are snake case, OnAir's reasons are not."""
    return _snake(str(told.get("reason", "unknown"))).lstrip("_")


def _unix(timestamp: object) -> int:
    """0 for nothing."""
    return 0 if timestamp is None else int(_seconds(timestamp))


def _seconds(timestamp: object) -> float:
    """Of a Kubernetes timestamp (`2026-11-23T10:00:00Z`), a datetime or Unix seconds."""
    if isinstance(timestamp, int | float):
        return timestamp
    moment = timestamp if isinstance(timestamp, datetime) else datetime.fromisoformat(str(timestamp))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
