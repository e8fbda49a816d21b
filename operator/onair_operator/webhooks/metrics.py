"""The deliverer's metrics. Labels name the endpoint; there are few of those, and they go with it."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import Counter, Gauge, Histogram

_ENDPOINT = ("namespace", "endpoint")

ATTEMPTS = Counter(
    "onair_webhook_attempts_total",
    "Tries to deliver an event, by result: success, failure, refused (by the outbound policy)",
    (*_ENDPOINT, "result"),
)
EXPIRED = Counter(
    "onair_webhook_expired_total", "Events given up because they could not be delivered in time", _ENDPOINT
)
PENDING = Gauge("onair_webhook_pending_events", "Events that wait for delivery", _ENDPOINT)
SECONDS = Histogram(
    "onair_webhook_attempt_seconds",
    "How long a try took, whatever its result",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
DELAY = Histogram(
    "onair_webhook_delay_seconds",
    "From an event to the 2xx answer for it",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600, 21600, 86400),
)

_RESULTS = ("success", "failure", "refused")


def forget(namespace: str, endpoint: str) -> None:
    """Removes the series of an endpoint that is gone."""
    series = [*((ATTEMPTS, (result,)) for result in _RESULTS), (EXPIRED, ()), (PENDING, ())]
    for metric, more in series:
        with suppress(KeyError):
            metric.remove(namespace, endpoint, *more)
