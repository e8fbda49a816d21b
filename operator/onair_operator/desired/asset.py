"""The Asset of a broadcast that begins. Nothing owns it: it outlives its LiveStream. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onair_core import identity
from onair_core.contract import JournalEvent, StoreSettings
from onair_core.manifests import API_VERSION
from onair_operator.decide.status import new_asset_status

Object = dict[str, Any]


def asset_object(
    stream: Object,
    event: JournalEvent,
    *,
    root: bytes,
    store: StoreSettings,
    labels: Mapping[str, str],
    playback_url: Callable[[str], str],
) -> Object:
    """Called as the event's broadcast is, with a status. `store`: where its data is."""
    metadata, spec = stream["metadata"], stream["spec"]
    settings = spec.get("newAssetSettings", {})
    name = event.broadcast.id if event.broadcast else ""
    entries = settings.get("playback", [])
    playback = []
    for entry in entries:
        playback_id = identity.asset_playback_id(root, metadata["namespace"], name, entry["name"])
        url = playback_url(playback_id)
        playback.append({"name": entry["name"], "id": playback_id, "policy": entry["policy"], "url": url})
    asset_spec: Object = {
        "liveStream": {"name": metadata["name"], "uid": metadata["uid"]},
        "store": _location(store),
        "playback": [{"name": entry["name"], "policy": entry["policy"]} for entry in entries],
    }
    title, passthrough = settings.get("title") or spec.get("title"), settings.get("passthrough")
    if title:
        asset_spec["title"] = title
    if passthrough:
        asset_spec["passthrough"] = passthrough
    return {
        "apiVersion": API_VERSION,
        "kind": "Asset",
        "metadata": {"name": name, "namespace": metadata["namespace"], "labels": dict(labels)},
        "spec": asset_spec,
        "status": new_asset_status(event, playback),
    }


def _location(store: StoreSettings) -> Object:
    """Not its credentials: those are the class's, and change."""
    found = {"url": store.url, "endpoint": store.endpoint, "region": store.region}
    return {name: value for name, value in found.items() if value}
