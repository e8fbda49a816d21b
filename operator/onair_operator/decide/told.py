"""What journals of ingest pods make of a stream's status and of its recordings. Pure.

Taking in the same events again gives the same: status has the cursor of the last one in it, and what they make of an
Asset does not depend on what they made of it before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from onair_core.contract import (
    BroadcastEnd,
    BroadcastRef,
    Cursor,
    DisconnectReason,
    EventType,
    JournalEvent,
    OpenBroadcast,
    Phase,
)
from onair_operator.decide.assets import is_in_object_store
from onair_operator.decide.status import asset_status_after, stream_status_after
from onair_operator.decide.times import unix_time

Object = dict[str, Any]
Status = dict[str, Any]


@dataclass(slots=True)
class Told:
    """`status` after the events, and the Assets that they are about, by name; those `made` are new."""

    status: Status
    assets: dict[str, Object] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)


def take_in(
    told: Told,
    events: Iterable[JournalEvent],
    *,
    incarnation: int,
    window: float,
    disabled: bool,
    asset: Callable[[str], Object | None],
    new_asset: Callable[[JournalEvent], Object],
) -> None:
    """Takes in what the pod of that incarnation told, in place; what `told.status` has already is passed over.

    `window`: seconds; `asset(name)` finds one that exists, `new_asset(event)` makes one, both with a status.
    """
    for event in events:
        cursor = Cursor(event.epoch, event.n)
        if cursor <= taken_by(told.status):
            continue
        if _is_left_open(told.status, event, incarnation):
            # Another pod has taken over before the one of that broadcast was gone for everybody to see.
            end = end_of_lost(told.status, event.at)
            take_in(told, end, incarnation=0, window=window, disabled=disabled, asset=asset, new_asset=new_asset)
        _asset_after(told, event, asset, new_asset)
        status = stream_status_after(told.status, event, window=window, disabled=disabled)
        if "broadcast" in status:
            status["broadcast"] = {**status["broadcast"], "incarnation": incarnation}
        told.status = status | {"journal": str(cursor)}


def _is_left_open(status: Status, event: JournalEvent, incarnation: int) -> bool:
    open_one = status.get("broadcast")
    return (
        open_one is not None
        and event.broadcast is not None
        and event.broadcast.id != open_one["id"]
        and open_one.get("incarnation", 0) < incarnation
    )


def taken_by(status: Status) -> Cursor:
    """Up to where a status has the journal; from its beginning, if somebody has written something else there."""
    try:
        return Cursor.parse(status.get("journal") or "0.0")
    except ValueError:
        return Cursor()


def _asset_after(
    told: Told,
    event: JournalEvent,
    asset: Callable[[str], Object | None],
    new_asset: Callable[[JournalEvent], Object],
) -> None:
    if event.broadcast is None:
        return
    name = event.broadcast.id
    found = told.assets.get(name) or asset(name)
    if found is None:
        if event.type is not EventType.ASSET_CREATED:
            return  # nothing is recorded, or somebody has deleted the Asset
        found = new_asset(event)
        told.made.add(name)
    told.assets[name] = {**found, "status": asset_status_after(found.get("status", {}), event)}


def open_broadcast(status: Status, asset: Object | None) -> OpenBroadcast | None:
    """What the next pod goes on with: the broadcast that status knows, if its recording outlives pods (`asset`)."""
    broadcast = status.get("broadcast")
    if broadcast is None or asset is None or not is_in_object_store(asset):
        return None
    away = broadcast.get("disconnectedAt")
    return OpenBroadcast(
        id=broadcast["id"],
        store=asset["spec"]["store"]["url"],
        started_at=unix_time(broadcast["startedAt"]),
        disconnected_at=unix_time(away) if away and not status.get("connected") else None,
        active=status.get("phase") == Phase.ACTIVE,
        ready=asset.get("status", {}).get("state") == "Ready",
    )


def end_of_lost(status: Status, now: float) -> list[JournalEvent]:
    """What the pod of an open broadcast would have told at its end, had it lived to tell: it is gone for good.

    Numbered behind everything that the pod may have told, in its epoch.
    """
    broadcast = status.get("broadcast")
    if broadcast is None:
        return []
    taken = taken_by(status)
    ref = BroadcastRef(broadcast["id"], int(broadcast["epoch"]))
    events: list[JournalEvent] = []

    def tell(kind: EventType, **data: Any) -> None:
        n = max(taken.n, _BEHIND_ALL) + len(events) + 1
        epoch = max(taken.epoch, ref.epoch)
        events.append(JournalEvent(epoch=epoch, n=n, type=kind, at=now, broadcast=ref, data=data))

    if status.get("connected"):
        tell(EventType.STREAM_DISCONNECTED, reason=DisconnectReason.POD_LOST.value)
    tell(EventType.STREAM_IDLE, reason=BroadcastEnd.POD_LOST.value)
    if status.get("activeAsset"):
        tell(EventType.ASSET_COMPLETED)
    return events


# More than a journal has in one epoch.
_BEHIND_ALL = 1_000_000
