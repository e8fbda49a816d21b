"""The work queue's metrics, under the names that client-go's have: dashboards for controllers know them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class QueueMetrics:
    """Of the queue of that name. `depth`, `longest` (seconds) and `unfinished` (seconds) are asked at each scrape."""

    def __init__(
        self,
        name: str,
        *,
        depth: Callable[[], float],
        longest: Callable[[], float],
        unfinished: Callable[[], float],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        def gauge(metric: str, says: str, asked: Callable[[], float]) -> None:
            Gauge(metric, says, ("name",), registry=registry).labels(name).set_function(asked)

        gauge("workqueue_depth", "Keys that wait for a worker", depth)
        gauge("workqueue_longest_running_processor_seconds", "How long the oldest work goes on", longest)
        gauge("workqueue_unfinished_work_seconds", "How long all work that goes on has taken so far", unfinished)
        self.adds = Counter("workqueue_adds_total", "Keys added", ("name",), registry=registry).labels(name)
        self.retries = Counter("workqueue_retries_total", "Work that failed", ("name",), registry=registry).labels(name)
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "From when a key could be worked on until it was",
            ("name",),
            buckets=_SECONDS,
            registry=registry,
        ).labels(name)
        self.worked = Histogram(
            "workqueue_work_duration_seconds", "How long work took", ("name",), buckets=_SECONDS, registry=registry
        ).labels(name)
