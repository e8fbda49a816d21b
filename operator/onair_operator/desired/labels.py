"""Labels, selectors and owners of the children. Nothing of the LiveStream's own labels is copied."""

from __future__ import annotations

from typing import Any

from onair_core.contract import StreamRef
from onair_core.manifests import API_VERSION
from onair_operator.desired.naming import Incarnation

LIVE_STREAM = "onair.dev/live-stream"
"""The LiveStream's name."""
INCARNATION = "onair.dev/incarnation"
"""`Incarnation.suffix`: of the stream's uid, too, so that no Service selects a pod of an earlier stream of its name."""

_ALL_INGEST = {"app.kubernetes.io/name": "onair", "app.kubernetes.io/component": "ingest"}


def recommended(stream: StreamRef) -> dict[str, str]:
    """The labels of every child."""
    return {
        **_ALL_INGEST,
        "app.kubernetes.io/instance": stream.name,
        "app.kubernetes.io/managed-by": "onair",
        "app.kubernetes.io/part-of": "onair",
        LIVE_STREAM: stream.name,
    }


def managed_selector() -> str:
    """The children of every stream, in kubectl's notation."""
    return "app.kubernetes.io/managed-by=onair,app.kubernetes.io/component=ingest"


def all_ingest_selector() -> dict[str, str]:
    """The ingest pods of every stream in a namespace."""
    return dict(_ALL_INGEST)


def stream_selector(stream: StreamRef) -> dict[str, str]:
    """The pods of one stream, whichever incarnation."""
    return {**_ALL_INGEST, LIVE_STREAM: stream.name}


def incarnation_selector(stream: StreamRef, incarnation: Incarnation) -> dict[str, str]:
    """One incarnation's pod alone."""
    return {**stream_selector(stream), INCARNATION: incarnation.suffix}


def owner(stream: StreamRef) -> dict[str, Any]:
    """The owner reference: children go with the LiveStream, and `kubectl drain` finds a controller."""
    return {
        "apiVersion": API_VERSION,
        "kind": "LiveStream",
        "name": stream.name,
        "uid": stream.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child_metadata(stream: StreamRef, name: str) -> dict[str, Any]:
    """`metadata` of a child called `name`."""
    return {
        "name": name,
        "namespace": stream.namespace,
        "labels": recommended(stream),
        "ownerReferences": [owner(stream)],
    }
