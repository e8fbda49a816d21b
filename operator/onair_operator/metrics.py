"""The operator's metrics, but for those of its queues and of the pods it follows."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from onair_core.kube.client import Call
from onair_operator.observe.cache import Cache

_REQUESTS = Counter(
    "onair_operator_api_requests_total",
    "Requests to the API server; code 0: no answer",
    ("verb", "resource", "code"),
)
_SECONDS = Histogram(
    "onair_operator_api_request_seconds",
    "How long the API server took; of a watch: until it began",
    ("verb",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LEADING = Gauge("onair_operator_leading", "1 for the replica that leads")


def observe(call: Call) -> None:
    """A request has ended."""
    _REQUESTS.labels(call.verb, str(call.resource), str(call.code)).inc()
    _SECONDS.labels(call.verb).observe(call.seconds)


class StreamsCollector(Collector):
    """How the LiveStreams fare that this replica works on; counted when asked."""

    def __init__(self, streams: Cache) -> None:
        self._streams = streams

    def collect(self) -> Iterator[GaugeMetricFamily]:
        ready, phases = Count[str](), Count[str]()
        for key in self._streams:
            status = (self._streams.get(key) or {}).get("status") or {}
            conditions = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
            ready[conditions.get("Ready", "Unknown")] += 1
            phases[status.get("phase", "Unknown")] += 1
        by_ready = GaugeMetricFamily(
            "onair_operator_live_streams", "LiveStreams, by their condition Ready", labels=("ready",)
        )
        by_phase = GaugeMetricFamily("onair_operator_phases", "LiveStreams, by phase", labels=("phase",))
        for family, counted in ((by_ready, ready), (by_phase, phases)):
            for value, count in sorted(counted.items()):
                family.add_metric((value,), count)
            yield family
