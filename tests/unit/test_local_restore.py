"""A lost event log made anew from the journal: the same ids, what was true then, nothing older than a day."""

from __future__ import annotations

from typing import Any

from onair_core.contract import BroadcastRef, EventType, JournalEvent
from onair_operator.decide.status import asset_status_after, stream_status_after
from onair_operator.eventlog import EventLog, Snapshot, Subject, append_journal, new_log, outbox
from onair_operator.local.restore import append_past, past_snapshots, restorable

UID = "0b7c6a3e-5a55-4c0e-8f0e-2b1d7a1f9a10"
SUBJECT = Subject("LiveStream", "events", "keynote", UID)
BROADCAST = BroadcastRef("keynote-7f3k2", 2)
# As it is now: the broadcast is over.
ASSET: dict[str, Any] = {
    "metadata": {"name": BROADCAST.id, "namespace": "events"},
    "spec": {},
    "status": {
        "state": "Ready",
        "isLive": False,
        "duration": 40,
        "playback": [{"name": "main", "id": "a", "policy": "public"}],
    },
}
STREAM: dict[str, Any] = {
    "metadata": {"name": "keynote", "namespace": "events", "uid": UID},
    "spec": {},
    "status": {
        "phase": "Idle",
        "connected": False,
        "recording": False,
        "recentAssets": [BROADCAST.id],
        "playback": [{"name": "main", "id": "keynote-2026", "policy": "public"}],
    },
}
TOLD = [
    EventType.STREAM_CONNECTED,
    EventType.ASSET_CREATED,
    EventType.STREAM_RECORDING,
    EventType.STREAM_ACTIVE,
    EventType.ASSET_READY,
    EventType.STREAM_DISCONNECTED,
    EventType.STREAM_IDLE,
    EventType.ASSET_COMPLETED,
]
JOURNAL = [
    JournalEvent(epoch=2, n=n, type=kind, at=1000.0 + n, broadcast=BROADCAST, data={"recorded": True})
    for n, kind in enumerate(TOLD, 1)
]


def after(stream: dict[str, Any], assets: dict[str, dict[str, Any]], event: JournalEvent) -> dict[str, Any]:
    asset = assets.setdefault(BROADCAST.id, {**ASSET})
    asset["status"] = asset_status_after(asset["status"], event)
    return {**stream, "status": stream_status_after(stream["status"], event, window=60, disabled=False)}


def restored() -> EventLog:
    return append_past(new_log(SUBJECT), past_snapshots(STREAM, JOURNAL, after))


def test_what_is_restored_has_the_ids_it_had() -> None:
    lost = append_journal(new_log(SUBJECT), JOURNAL, lambda _: Snapshot(restored().entries[0].object, {}), now=1)
    assert [entry.id for entry in restored().entries] == [entry.id for entry in lost.entries]
    assert restored().journal == lost.journal


def test_what_is_restored_shows_what_was_true_then_and_not_what_is_now() -> None:
    shown = {entry.type: entry.data for entry in restored().entries}
    assert shown[EventType.STREAM_ACTIVE]["status"] == "active"
    assert shown[EventType.STREAM_ACTIVE]["active_asset_id"] == BROADCAST.id
    assert shown[EventType.STREAM_IDLE]["status"] == "idle"
    assert (shown[EventType.ASSET_CREATED]["status"], shown[EventType.ASSET_CREATED]["is_live"]) == ("preparing", True)
    assert "duration" not in shown[EventType.ASSET_CREATED]
    assert (shown[EventType.ASSET_COMPLETED]["status"], shown[EventType.ASSET_COMPLETED]["is_live"]) == ("ready", False)
    assert STREAM["status"]["phase"] == "Idle" and ASSET["status"]["state"] == "Ready"


def test_a_newer_endpoint_does_not_get_what_is_restored() -> None:
    log = outbox.with_endpoint(restored(), "new", created_at=1005.5)
    assert [entry.at for entry in outbox.after(log, log.cursors["new"].done)] == [1006.0, 1007.0, 1008.0]


def test_only_what_status_knows_and_what_is_not_too_old_is_restored() -> None:
    assert restorable(JOURNAL, (2, 3), now=2000.0) == JOURNAL[:3]
    assert restorable(JOURNAL, (9, 9), now=1006.0 + 86400) == JOURNAL[5:]
