"""What an ingest pod's status means for its channel. Pure."""

from __future__ import annotations

from typing import Any

from onair_operator.decide.conditions import Verdict
from onair_operator.decide.times import unix_time

Pod = dict[str, Any]

# Of a container that waits, by what it is called in the pod's status.
_WAITING = {
    "ErrImagePull": "ImagePullFailed",
    "ImagePullBackOff": "ImagePullFailed",
    "InvalidImageName": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "CreateContainerConfigError": "PodCannotStart",
    "CreateContainerError": "PodCannotStart",
    "RunContainerError": "PodCannotStart",
    "CrashLoopBackOff": "PodCrashing",
}


# A kubelet, the API server and the watch may take so long; clocks may differ.
_LATE_SECONDS = 30.0


def pod_verdict(pod: Pod | None) -> Verdict:
    """Whether a publisher can come in, and else why not."""
    if pod is None:
        return Verdict(False, "PodStarting", "The ingest pod is being made.")
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    if _holds(conditions.get("Ready")):
        return Verdict(True, "PodReady", f"Pod {name} takes a publisher in.")
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return Verdict(False, "PodUnschedulable", f"Pod {name}: {scheduled.get('message') or 'no node takes it'}")
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if (reason := _WAITING.get(waiting.get("reason", ""))) is not None:
            said = waiting.get("message") or waiting["reason"]
            return Verdict(False, reason, f"Pod {name}: {said}")
    if any(container.get("started") for container in status.get("containerStatuses") or ()):
        return Verdict(False, "PodNotReady", f"Pod {name} does not take a publisher in at the moment.")
    return Verdict(False, "PodStarting", f"Pod {name} is starting.")


def runs(pod: Pod) -> bool:
    """Whether its process can be spoken to: it has an address, and its container runs."""
    status = pod.get("status") or {}
    states = [container.get("state") or {} for container in status.get("containerStatuses") or ()]
    return bool(status.get("podIP")) and any("running" in state for state in states)


def overdue(pod: Pod, now: float) -> float | None:
    """For how many seconds a pod should have been gone; negative: it still has so many. None: nobody has deleted it.

    A node that is gone ends no pod: what is on it stays for as long as its Node does.
    """
    by = pod["metadata"].get("deletionTimestamp")  # its grace is in it
    return None if by is None else now - unix_time(by) - _LATE_SECONDS


def was_restarted(pod: Pod) -> bool:
    """Whether its process is another one than it began with, which may have begun with another configuration."""
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(container.get("restartCount") for container in containers)


def _holds(condition: dict[str, Any] | None) -> bool:
    return condition is not None and condition["status"] == "True"
