"""What a failing test leaves behind: objects, events, logs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kubelab.kubectl import Kubectl, Object
from kubelab.site import MACHINE

Result = TypeVar("Result")

TAIL = 200_000  # bytes of each component's log
KINDS = "pods,services,endpointslices,configmaps,persistentvolumeclaims,networkpolicies,deployments"
CUSTOM = "livestreams,livestreamclasses,assets,webhookendpoints"


def collect(kubectl: Kubectl, folder: Path) -> None:
    """Fills `folder`, anew. What cannot be had is told in the place where it would be."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "logs").mkdir(parents=True)

    def keep(name: str, *words: str) -> None:
        (folder / name).write_text(_said(kubectl, *words), encoding="utf-8")

    keep("nodes.txt", "describe", "nodes")
    keep("pods.txt", "describe", "pods")
    keep("objects.yaml", "get", KINDS, "-o", "yaml")
    keep("channels.yaml", "get", CUSTOM, "-o", "yaml")
    keep("events.txt", "get", "events", "--sort-by=.lastTimestamp")
    nothing: list[Object] = []
    for pod in _attempt(lambda: kubectl.list("pods"), nothing):
        name = pod["metadata"]["name"]
        keep(f"logs/{name}.log", "logs", name, "--all-containers", "--prefix")
        if any(status.get("restartCount") for status in pod["status"].get("containerStatuses", [])):
            keep(f"logs/{name}.previous.log", "logs", name, "--all-containers", "--prefix", "--previous")
    if MACHINE.logs.exists() and kubectl.kubeconfig == MACHINE.kubeconfig:
        (folder / "cluster").mkdir()
        for log in MACHINE.logs.glob("*.log"):
            (folder / "cluster" / log.name).write_bytes(log.read_bytes()[-TAIL:])


def _said(kubectl: Kubectl, *words: str) -> str:
    def said() -> str:
        done = kubectl.attempt(*words)
        return done.stdout + done.stderr

    return _attempt(said, "kubectl did not answer\n")


def _attempt(get: Callable[[], Result], otherwise: Result) -> Result:
    try:
        return get()
    except Exception:  # whatever it is, it must not hide the failure that is being told
        return otherwise
