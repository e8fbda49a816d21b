"""What webhooks say: Mux's envelope and data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onair_core.contract import BroadcastRef, DisconnectReason, EventType, IngestProblem, JournalEvent
from onair_operator.eventlog import Attempt, Subject, append_journal, append_own, new_log, outbox
from onair_operator.webhooks import Endpoint, Environment, payload, resources, snapshot

STREAM: dict[str, Any] = {
    "apiVersion": "onair.dev/v1alpha1",
    "kind": "LiveStream",
    "metadata": {
        "name": "keynote",
        "namespace": "events",
        "uid": "0b7c6a3e-5a55-4c0e-8f0e-2b1d7a1f9a10",
        "creationTimestamp": "2026-11-23T10:00:00Z",
    },
    "spec": {
        "title": "Opening keynote",
        "passthrough": "order 7",
        "latencyMode": "standard",
        "maxContinuousDurationSeconds": 3600,
        "newAssetSettings": {"playback": [{"policy": "public"}], "recording": True},
    },
    "status": {
        "phase": "Active",
        "connected": True,
        "recording": True,
        "reconnectWindowSeconds": 120,
        "playback": [{"name": "main", "id": "keynote-2026", "policy": "public", "url": "https://x.test/k.m3u8"}],
        "activeAsset": "keynote-7f3k2",
        "recentAssets": ["keynote-1", "keynote-7f3k2"],
    },
}
ASSET: dict[str, Any] = {
    "kind": "Asset",
    "metadata": {"name": "keynote-7f3k2", "namespace": "events", "creationTimestamp": "2026-11-23T11:00:00Z"},
    "spec": {"liveStream": {"name": "keynote", "uid": STREAM["metadata"]["uid"]}, "passthrough": "order 7"},
    "status": {
        "state": "Ready",
        "isLive": True,
        "duration": 10.0,
        "playback": [{"name": "main", "id": "rec", "policy": "public"}],
        "recordingTimes": [{"startedAt": 1000.5, "duration": 10.0}],
    },
}
DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
SUBJECT = Subject("LiveStream", "events", "keynote", STREAM["metadata"]["uid"])


def record(event_type: EventType, **data: object) -> JournalEvent:
    return JournalEvent(
        epoch=1, n=1, type=event_type, at=1585085879.25, broadcast=BroadcastRef("keynote-7f3k2", 1), data=data
    )


def test_a_live_stream_as_mux_shows_it() -> None:
    assert resources.live_stream_data(STREAM) == {
        "id": STREAM["metadata"]["uid"],
        "created_at": 1795428000,
        "stream_key": "",
        "status": "active",
        "connected": True,
        "recording": True,
        "active_ingest_protocol": "rtmp",
        "active_asset_id": "keynote-7f3k2",
        "recent_asset_ids": ["keynote-1", "keynote-7f3k2"],
        "playback_ids": [{"id": "keynote-2026", "policy": "public"}],
        "new_asset_settings": {"playback_policies": ["public"]},
        "reconnect_window": 120,
        "latency_mode": "standard",
        "max_continuous_duration": 3600,
        "passthrough": "order 7",
        "meta": {"title": "Opening keynote"},
        "test": False,
    }


def test_a_stream_that_is_only_declared_is_idle_with_muxs_defaults() -> None:
    data = resources.live_stream_data({"metadata": {"uid": "u", "name": "n"}, "spec": {}})
    assert (data["status"], data["connected"], data["recent_asset_ids"]) == ("idle", False, [])
    assert (data["reconnect_window"], data["max_continuous_duration"]) == (60, 43200)
    assert "active_asset_id" not in data
    assert "passthrough" not in data


def test_idle_still_names_the_asset_that_the_object_no_longer_has() -> None:
    after = {**STREAM, "status": {**STREAM["status"], "phase": "Idle", "connected": False, "activeAsset": None}}
    data = snapshot(EventType.STREAM_IDLE, stream=after, event=record(EventType.STREAM_IDLE)).data
    assert (data["status"], data["active_asset_id"]) == ("idle", "keynote-7f3k2")


def test_an_unrecorded_broadcast_has_no_asset() -> None:
    status = {**STREAM["status"], "activeAsset": None, "recentAssets": []}
    data = snapshot(
        EventType.STREAM_ACTIVE, stream={**STREAM, "status": status}, event=record(EventType.STREAM_ACTIVE)
    ).data
    assert "active_asset_id" not in data


def test_an_asset_as_mux_shows_it() -> None:
    data = resources.asset_data(ASSET)
    assert data == {
        "id": "keynote-7f3k2",
        "created_at": 1795431600,
        "status": "ready",
        "duration": 10.0,
        "is_live": True,
        "live_stream_id": STREAM["metadata"]["uid"],
        "ingest_type": "live_rtmp",
        "playback_ids": [{"id": "rec", "policy": "public"}],
        "progress": {"state": "live", "progress": -1},
        "recording_times": [
            {"type": "content", "started_at": {"seconds": 1000, "nanos": 500_000_000}, "duration": 10.0}
        ],
        "passthrough": "order 7",
        "max_resolution_tier": "1080p",
        "encoding_tier": "smart",
        "master_access": "none",
        "mp4_support": "none",
        "test": False,
    }


def test_what_the_journal_says_of_an_asset_prevails() -> None:
    event = record(
        EventType.ASSET_COMPLETED,
        duration=61.2,
        tracks=[{"type": "video", "max_width": 1280, "max_height": 720}],
        recording_times=[{"started_at": "2026-11-23T11:00:00.250000Z", "duration": 61.2, "type": "content"}],
    )
    done = {**ASSET, "status": {**ASSET["status"], "isLive": False}}
    data = snapshot(EventType.ASSET_COMPLETED, asset=done, event=event).data
    assert (data["duration"], data["is_live"]) == (61.2, False)
    assert data["progress"] == {"state": "completed", "progress": 100}
    assert data["tracks"] == [{"type": "video", "max_width": 1280, "max_height": 720}]
    assert data["recording_times"][0]["started_at"] == {"seconds": 1795431600, "nanos": 250_000_000}


@pytest.mark.parametrize(
    ("tracks", "shown"),
    [
        ([{"type": "audio", "max_channels": 2}], {"resolution_tier": "audio-only", "max_resolution_tier": "1080p"}),
        (
            [{"type": "video", "maxWidth": 1280, "maxHeight": 720, "maxFrameRate": 29.97}],
            {"resolution_tier": "720p", "aspect_ratio": "16:9", "max_stored_frame_rate": 29.97},
        ),
        (
            [{"type": "video", "max_width": 1080, "max_height": 1920}],
            {"resolution_tier": "1080p", "aspect_ratio": "9:16"},
        ),
        ([{"type": "video", "max_width": 3840, "max_height": 2160}], {"max_resolution_tier": "2160p"}),
    ],
)
def test_an_assets_tiers_follow_its_tracks(tracks: list[dict[str, Any]], shown: dict[str, Any]) -> None:
    data = resources.asset_data(ASSET, {"tracks": tracks})
    assert {name: data.get(name) for name in shown} == shown


def test_a_recording_without_media_says_why_it_failed() -> None:
    event = record(EventType.ASSET_ERRORED, reason="NoMedia", message="No audio or video came.")
    failed = {**ASSET, "status": {"state": "Errored"}}
    data = snapshot(EventType.ASSET_ERRORED, asset=failed, event=event).data
    assert (data["status"], data["progress"]) == ("errored", {"state": "errored", "progress": -1})
    assert data["errors"] == {"type": "no_media", "messages": ["No audio or video came."]}


def test_warnings_are_small() -> None:
    event = record(EventType.STREAM_WARNING, reason="RecordingFailed", message="The disk is full")
    assert snapshot(EventType.STREAM_WARNING, stream=STREAM, event=event).data == {
        "id": STREAM["metadata"]["uid"],
        "active_asset_id": "keynote-7f3k2",
        "passthrough": "order 7",
        "status": "active",
        "stream_key": "",
        "warning": {"type": "recording_failed", "message": "The disk is full"},
    }


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("UnsupportedVideoCodec", "unsupported_video_codec"),
        ("UnsupportedAudioCodec", "unsupported_audio_codec"),
        ("GopTooLong", "gop_too_long"),
        ("IngestBitrateExceeded", "ingest_bitrate_exceeded"),
        ("NoKeyframe", "no_keyframe"),
        ("AudioVideoOutOfStep", "audio_video_out_of_step"),
        ("TooManyDiscontinuities", "too_many_discontinuities"),
        ("LiveWindowTooLarge", "live_window_too_large"),
        ("TrackIgnored", "track_ignored"),
        ("RecordingHole", "recording_hole"),
        ("RecordingStalled", "recording_stalled"),
        ("RecordingResumed", "recording_resumed"),
    ],
)
def test_a_problem_of_the_media_is_a_warning_with_type_and_message(reason: str, shown: str) -> None:
    event = record(EventType.STREAM_WARNING, reason=reason, message="What is wrong.")
    log = append_journal(new_log(SUBJECT), [event], lambda e: snapshot(e.type, stream=STREAM, event=e), now=1.0)
    webhook = json.loads(payload.encode(payload.envelope(log.entries[0], SUBJECT, Environment("a", "b"))))
    assert webhook["type"] == "video.live_stream.warning"
    assert webhook["data"]["warning"] == {"type": shown, "message": "What is wrong."}
    assert webhook["data"]["onair"]["reason"] == reason
    assert f"`{shown}`" in DOCUMENTATION


def warnings_table() -> dict[str, str]:
    """What each type means, as documented."""
    rows = DOCUMENTATION.partition("| `warning.type` |")[2].partition("\n\n")[0].splitlines()[2:]
    return {row.split("|")[1].strip(" `"): row.split("|")[2].strip() for row in rows}


@pytest.mark.parametrize("problem", list(IngestProblem))
def test_of_every_problem_the_documentation_says_whether_it_cuts_the_encoder(problem: IngestProblem) -> None:
    table = {kind.replace("_", ""): meaning for kind, meaning in warnings_table().items()}
    cuts = problem.value in {reason.value for reason in DisconnectReason}
    assert table[problem.value.lower()].startswith("*cut*") is cuts


@pytest.mark.parametrize("kind", [outbox.EXPIRED, outbox.OVERFLOWED, outbox.DAMAGED])
def test_the_warnings_about_webhooks_are_documented(kind: str) -> None:
    assert f"`{kind}`" in DOCUMENTATION


@pytest.mark.parametrize("event_type", list(EventType))
def test_every_event_has_a_webhook_without_a_key(event_type: EventType) -> None:
    stream = {**STREAM, "spec": {**STREAM["spec"], "streamKey": {"rotation": "hush"}}}
    found = snapshot(event_type, stream=stream, asset=ASSET, event=record(event_type))
    assert found.object.type == ("asset" if event_type.startswith("video.asset.") else "live")
    assert "hush" not in json.dumps(found.data)
    assert found.data.get("stream_key", "") == ""


def test_the_envelope_is_muxs_with_onairs_additions_under_their_own_name() -> None:
    event = record(EventType.STREAM_IDLE, reason="Completed")
    log = append_journal(
        new_log(SUBJECT), [event], lambda e: snapshot(e.type, stream=STREAM, event=e), now=1585085880.0
    )
    entry = log.entries[0]
    webhook = json.loads(payload.encode(payload.envelope(entry, SUBJECT, Environment("pcg9mg", "Development"))))
    assert list(webhook) == [
        *("type", "id", "created_at", "object", "environment", "data", "attempts"),
        *("accessor", "accessor_source", "request_id"),
    ]
    assert webhook["type"] == "video.live_stream.idle"
    assert webhook["created_at"] == "2020-03-24T21:37:59.250000Z"
    assert webhook["object"] == {"type": "live", "id": STREAM["metadata"]["uid"]}
    assert webhook["environment"] == {"id": "pcg9mg", "name": "Development"}
    assert webhook["attempts"] == []
    assert webhook["data"]["onair"] == {
        "namespace": "events",
        "name": "keynote",
        "sequence": 1,
        "broadcast": "keynote-7f3k2",
        "reason": "Completed",
    }


def test_earlier_tries_are_shown_as_mux_shows_them() -> None:
    endpoint = Endpoint(
        uid="e", revision="1", namespace="n", name="h", url="http://x.test/", secrets=(b"s",), created_at=0.0
    )
    log = append_own(
        new_log(SUBJECT), EventType.STREAM_CREATED, "created", snapshot(EventType.STREAM_CREATED, stream=STREAM), at=1
    )
    tries = [
        Attempt(number=1, at=10.0, problem="no answer within 5 seconds"),
        Attempt(number=2, at=20.0, status=500, body="oops", headers={"Server": "nginx"}, problem="…"),
    ]
    first, second = payload.attempts_shown(log.entries[0], endpoint, tries, 30)
    assert "response_status_code" not in first
    assert first["response_body"] == "no answer within 5 seconds"
    assert {name: second[name] for name in second if name not in ("id", "webhook_id")} == {
        "address": "http://x.test/",
        "created_at": "1970-01-01T00:00:20.000000Z",
        "max_attempts": 30,
        "response_status_code": 500,
        "response_headers": {"Server": "nginx"},
        "response_body": "oops",
    }
    assert first["id"] != second["id"]
    assert first["webhook_id"] == second["webhook_id"] < 2**53
