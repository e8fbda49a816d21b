"""What is kept of the objects in memory. Pure."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "ownerReferences")
_POD_STATUS = ("phase", "reason", "podIP", "conditions")
_CONTAINER_STATUS = ("name", "state", "started", "ready", "restartCount")


def trim_pod(pod: Object) -> Object:
    """Who it is, where it runs and how it fares: a tenth of what a pod is."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    kept = {name: metadata[name] for name in (*_METADATA, "deletionTimestamp") if name in metadata}
    containers = [
        {name: container[name] for name in _CONTAINER_STATUS if name in container}
        for container in status.get("containerStatuses") or ()
    ]
    return {
        "metadata": kept,
        "spec": {name: pod["spec"][name] for name in ("nodeName",) if name in pod.get("spec", {})},
        "status": {name: status[name] for name in _POD_STATUS if name in status} | {"containerStatuses": containers},
    }
