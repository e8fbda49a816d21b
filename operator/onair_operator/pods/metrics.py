"""The metrics of following ingest pods. No label names a stream: there are thousands."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

FOLLOWED = Gauge("onair_operator_pods_followed", "Ingest pods whose events are to be read")
CONNECTED = Gauge("onair_operator_pods_connected", "Ingest pods whose events are being read")
EVENTS = Counter("onair_operator_pod_events_total", "Events read from ingest pods")
ENDED = Counter(
    "onair_operator_pod_disconnects_total",
    "Times that a pod's events could not be read (on), by reason: ended, unreachable, refused, nonsense, defect",
    ("reason",),
)
