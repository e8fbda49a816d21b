"""What is kept of the objects in memory. Pure."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

_METADATA = ("name", "namespace", "uid", "resourceVersion", "generation", "deletionTimestamp")
_OURS = "onair.dev/"
_OWNER = ("kind", "name", "uid")
_POD_STATUS = ("phase", "reason", "podIP")
_CONDITION = ("type", "status", "reason", "message")
_CONTAINER_STATUS = ("name", "state", "started", "ready", "restartCount")


def trim_metadata(found: Object) -> Object:
    """Who it is, whose it is, and what OnAir has noted on it."""
    metadata = found["metadata"]
    kept = _of(metadata, _METADATA)
    for name in ("labels", "annotations"):
        ours = {key: value for key, value in (metadata.get(name) or {}).items() if key.startswith(_OURS)}
        if ours:
            kept[name] = ours
    if owners := metadata.get("ownerReferences"):
        kept["ownerReferences"] = [_of(owner, _OWNER) for owner in owners]
    return {"metadata": kept}


def trim_pod(pod: Object) -> Object:
    """Who it is, where it runs and how it fares: a twentieth of what a pod is."""
    status = pod.get("status") or {}
    kept: Object = _of(status, _POD_STATUS)
    if "conditions" in status:
        kept["conditions"] = [_of(condition, _CONDITION) for condition in status["conditions"]]
    kept["containerStatuses"] = [_of(one, _CONTAINER_STATUS) for one in status.get("containerStatuses") or ()]
    return {**trim_metadata(pod), "spec": _of(pod.get("spec") or {}, ("nodeName",)), "status": kept}


def _of(whole: Object, names: tuple[str, ...]) -> Object:
    return {name: whole[name] for name in names if name in whole}
