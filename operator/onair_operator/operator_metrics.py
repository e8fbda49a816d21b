"""The operator's metrics, but for those of its queues and of the pods it follows."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from onair_core.kube.client import Call

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
