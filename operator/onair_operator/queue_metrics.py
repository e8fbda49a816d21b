"""The work queues' metrics, under the names that client-go's have: dashboards for controllers know them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True)
class _Families:
    """Of all queues of a registry, told apart by the label `name`."""

    depth: Gauge
    longest: Gauge
    unfinished: Gauge
    adds: Counter
    retries: Counter
    waited: Histogram
    worked: Histogram

    @classmethod
    def register(cls, registry: CollectorRegistry) -> _Families:
        of, names = registry, ("name",)
        return cls(
            depth=Gauge("workqueue_depth", "Keys that wait for a worker", names, registry=of),
            longest=Gauge(
                "workqueue_longest_running_processor_seconds", "How long the oldest work goes on", names, registry=of
            ),
            unfinished=Gauge(
                "workqueue_unfinished_work_seconds",
                "How long all work that goes on has taken so far",
                names,
                registry=of,
            ),
            adds=Counter("workqueue_adds_total", "Keys added", names, registry=of),
            retries=Counter("workqueue_retries_total", "Work that failed", names, registry=of),
            waited=Histogram(
                "workqueue_queue_duration_seconds",
                "From when a key could be worked on until it was",
                names,
                buckets=_SECONDS,
                registry=of,
            ),
            worked=Histogram(
                "workqueue_work_duration_seconds", "How long work took", names, buckets=_SECONDS, registry=of
            ),
        )


_REGISTERED: WeakKeyDictionary[CollectorRegistry, _Families] = WeakKeyDictionary()


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
        if (families := _REGISTERED.get(registry)) is None:
            families = _REGISTERED[registry] = _Families.register(registry)
        families.depth.labels(name).set_function(depth)
        families.longest.labels(name).set_function(longest)
        families.unfinished.labels(name).set_function(unfinished)
        self.adds = families.adds.labels(name)
        self.retries = families.retries.labels(name)
        self.waited = families.waited.labels(name)
        self.worked = families.worked.labels(name)
