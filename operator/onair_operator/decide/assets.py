"""What can be said of a recording beyond what its broadcast told. Pure.

A recording on an ingest pod's volume is there for as long as that volume: an emptyDir goes with its pod, a claim with
its LiveStream.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onair_core.contract import ServedAsset
from onair_operator.decide.conditions import with_condition
from onair_operator.decide.status import asset_ready
from onair_operator.decide.times import timestamp
from onair_operator.desired.labels import INCARNATION
from onair_operator.desired.pod import DATA
from onair_operator.desired.store import is_object_store

Object = dict[str, Any]
Status = dict[str, Any]

ON_CLAIM = "claim"
"""Value of the label `onair.dev/incarnation` of an Asset whose data is on its LiveStream's claim."""
_DATA_LOST = (
    "Its data was on the volume of an ingest pod, and is gone with it. A class with a store keeps recordings, and one "
    "with a claim (ingest.volume.persistentVolumeClaim) for as long as the LiveStream."
)


def volume_of(asset: Object) -> str | None:
    """The incarnation whose volume has the data, `ON_CLAIM`, or None: it is in a store that outlives pods."""
    if not asset["spec"].get("store", {}).get("url", "").startswith(f"file://{DATA}"):
        return None
    found: str | None = (asset["metadata"].get("labels") or {}).get(INCARNATION)
    return found


def is_in_object_store(asset: Object) -> bool:
    """Whether its data outlives every pod and volume."""
    url = asset["spec"].get("store", {}).get("url", "")
    return bool(url) and is_object_store(url)


def is_lost(asset: Object, *, stream_exists: bool, incarnations: Iterable[str]) -> bool:
    """`incarnations`: those of its LiveStream whose pods still are."""
    volume = volume_of(asset)
    if volume is None:
        return False
    return not stream_exists or (volume != ON_CLAIM and volume not in incarnations)


def lost_status(status: Status, now: float) -> Status:
    """Of one whose data is gone."""
    over = {"state": "Errored", "isLive": False, "error": _DATA_LOST}
    return {**status, **over, "completedAt": status.get("completedAt") or timestamp(now)}


def with_readiness(asset: Object, status: Status, now: float) -> Status:
    """With its condition and the generation that it is about."""
    generation = asset["metadata"].get("generation", 1)
    ready = asset_ready(status, store_problem=None)
    conditions = with_condition(status.get("conditions", []), "Ready", ready, generation=generation, now=now)
    return {**status, "observedGeneration": generation, "conditions": conditions}


def served(assets: Iterable[Object], volume: str) -> tuple[ServedAsset, ...]:
    """What a pod with that volume plays by the recordings' own IDs, in a stable order: what is on it, and what is in
    object stores.
    """
    found = [
        ServedAsset(
            id=asset["metadata"]["name"],
            store=asset["spec"]["store"]["url"],
            endpoint=asset["spec"]["store"].get("endpoint", ""),
            region=asset["spec"]["store"].get("region", ""),
            playback_ids=tuple(entry["id"] for entry in asset.get("status", {}).get("playback", [])),
            title=asset["spec"].get("title", ""),
        )
        for asset in assets
        if (volume_of(asset) == volume or is_in_object_store(asset)) and asset.get("status", {}).get("playback")
    ]
    return tuple(sorted(found, key=lambda each: each.id))
