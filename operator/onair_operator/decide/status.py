"""What events make of status: a LiveStream's, and its Asset's. Pure folds over the journal's records."""

from __future__ import annotations

from typing import Any

from onair_core.contract import BroadcastEnd, DisconnectReason, EventType, IngestProblem, JournalEvent, Phase
from onair_operator.decide.conditions import Verdict, with_condition
from onair_operator.decide.times import timestamp

_INGEST_PROBLEMS = frozenset(problem.value for problem in IngestProblem)
# Those for which an encoder is cut off: they stay until the next connection, so that one can see why.
_CUTTING_PROBLEMS = _INGEST_PROBLEMS & {reason.value for reason in DisconnectReason}
MAX_EVENTS = 20
MAX_RECENT_ASSETS = 20

Status = dict[str, Any]


def stream_status_after(status: Status, event: JournalEvent, *, window: float, disabled: bool) -> Status:
    """The LiveStream's status right after an event. `window` in seconds."""
    made = dict(status)
    broadcast = event.broadcast
    if event.type is EventType.STREAM_CONNECTED and broadcast is not None:
        before = status.get("broadcast") or {}
        started = before.get("startedAt") if before.get("id") == broadcast.id else None
        made["connected"] = True
        made |= _ingest_health(made, Verdict(True, "Publishing", "An encoder is publishing."), event.at)
        made["broadcast"] = {"id": broadcast.id, "epoch": broadcast.epoch, "startedAt": started or timestamp(event.at)}
        if event.data.get("recorded"):
            made["activeAsset"] = broadcast.id
            recent = [asset for asset in status.get("recentAssets", []) if asset != broadcast.id]
            made["recentAssets"] = [*recent, broadcast.id][-MAX_RECENT_ASSETS:]
            made["recording"] = bool(started and status.get("activeAsset"))
    elif event.type is EventType.STREAM_WARNING and event.data.get("reason") in _INGEST_PROBLEMS:
        problem = Verdict(False, str(event.data["reason"]), str(event.data.get("message", "")))
        made |= _ingest_health(made, problem, event.at)
    elif event.type is EventType.STREAM_RECORDING:
        made["recording"] = True
    elif event.type is EventType.STREAM_ACTIVE:
        made["phase"] = Phase.ACTIVE.value
    elif event.type is EventType.STREAM_DISCONNECTED:
        made |= {"connected": False, "recording": False} | _nobody_publishes(made, event.at)
        if "broadcast" in made:
            since = float(event.data.get("since", event.at))  # a killed process is missed when the next one starts
            away = {"disconnectedAt": timestamp(since), "deadline": timestamp(since + window)}
            made["broadcast"] = {**made["broadcast"], **away}
    elif event.type is EventType.STREAM_IDLE:
        over = event.data.get("reason") == BroadcastEnd.TEST_OVER
        made |= {"connected": False, "recording": False} | _nobody_publishes(made, event.at)
        made["phase"] = (Phase.DISABLED if disabled or over else Phase.IDLE).value
        made.pop("broadcast", None)
        made.pop("activeAsset", None)
    return with_event(made, event.type, event.at, event.data.get("reason"), broadcast.id if broadcast else None)


def _ingest_health(status: Status, verdict: Verdict, now: float) -> Status:
    """What the newest connection sends: it changes a few times a connection at most, and says nothing of readiness."""
    generation = int(status.get("observedGeneration", 0))
    conditions = with_condition(status.get("conditions", []), "IngestHealthy", verdict, generation=generation, now=now)
    return {"conditions": conditions}


def _nobody_publishes(status: Status, now: float) -> Status:
    found = next((c for c in status.get("conditions", []) if c["type"] == "IngestHealthy"), None)
    if found is not None and found["status"] == "False" and found["reason"] in _CUTTING_PROBLEMS:
        return {}
    return _ingest_health(status, Verdict(None, "NotPublishing", "No encoder is publishing."), now)


def with_event(
    status: Status, event: EventType, at: float, reason: object = None, broadcast: str | None = None
) -> Status:
    """The status with one more of the newest events."""
    shown: Status = {"type": event.value, "at": timestamp(at)}
    if reason:
        shown["reason"] = str(reason)
    if broadcast:
        shown["broadcast"] = broadcast
    return {**status, "events": [*status.get("events", []), shown][-MAX_EVENTS:]}


def asset_status_after(status: Status, event: JournalEvent) -> Status:
    """The Asset's status right after an event of its broadcast."""
    made = dict(status)
    if event.broadcast is not None:
        made["epoch"] = event.broadcast.epoch
    if event.type is EventType.ASSET_READY:
        made["state"] = "Ready"
    elif event.type is EventType.ASSET_COMPLETED:
        made |= {"state": "Ready", "isLive": False, "completedAt": timestamp(event.at)}
    elif event.type is EventType.ASSET_ERRORED:
        made |= {"state": "Errored", "isLive": False, "completedAt": timestamp(event.at)}
        made["error"] = str(event.data.get("message", event.data.get("reason", "")))
    if "duration" in event.data:
        made["duration"] = event.data["duration"]
    if event.data.get("tracks"):
        made["tracks"] = [_camel(track) for track in event.data["tracks"]]
    if event.data.get("recording_times"):
        made["recordingTimes"] = [
            {"startedAt": timestamp(time["started_at"]), "duration": time["duration"]}
            for time in event.data["recording_times"]
        ]
    return made


def new_asset_status(event: JournalEvent, playback: list[dict[str, Any]]) -> Status:
    """An Asset's status when its broadcast begins."""
    return {"state": "Preparing", "isLive": True, "startedAt": timestamp(event.at), "playback": playback}


def asset_ready(status: Status, *, store_problem: str | None) -> Verdict:
    """Whether an Asset can be played. `store_problem`: why its store cannot be opened."""
    if store_problem is not None:
        return Verdict(False, "StoreUnavailable", f"The recording cannot be read: {store_problem}")
    state = status.get("state", "Preparing")
    if state == "Ready":
        return Verdict(True, "Playable", "")
    return Verdict(False, state, status.get("error", "") or "Nothing is playable yet.")


def _camel(fields: dict[str, Any]) -> dict[str, Any]:
    made = {}
    for name, value in fields.items():
        first, *rest = name.split("_")
        made[first + "".join(word.capitalize() for word in rest)] = value
    return made
