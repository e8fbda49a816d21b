"""What playback counts for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class PlaybackMetrics(Collector):
    """Requests by kind (`multivariant`, `media`, `segment`, `page`) and status, and bytes of bodies by kind.

    The kind `connection` is for those that were refused before there was a request. What is refused or cut for a limit
    is counted by its name as well.

    No playback ID is a label: their number has no bound. Counted in plain integers on the event loop, because
    a Counter's lock would be a tenth of what a playlist costs.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._counts: dict[tuple[str, int], list[int]] = {}
        self._rejected: Counter[str] = Counter()
        if registry is not None:
            registry.register(self)

    def count(self, kind: str, status: int, size: int) -> None:
        """One answered request; `size` is its body's, in bytes."""
        try:
            counts = self._counts[kind, status]
        except KeyError:
            counts = self._counts[kind, status] = [0, 0]
        counts[0] += 1
        counts[1] += size

    def reject(self, reason: str) -> None:
        """A viewer was turned away or cut for this limit."""
        self._rejected[reason] += 1

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "onair_playback_requests", "Playback requests answered", labels=["kind", "status"]
        )
        sent = CounterMetricFamily("onair_playback_sent_bytes", "Bytes of response bodies", labels=["kind"])
        by_kind: dict[str, int] = {}
        for (kind, status), (count, size) in self._counts.items():
            requests.add_metric([kind, str(status)], count)
            by_kind[kind] = by_kind.get(kind, 0) + size
        for kind, size in by_kind.items():
            sent.add_metric([kind], size)
        rejected = CounterMetricFamily(
            "onair_playback_rejected", "Viewers turned away or cut, by the limit that it was for", labels=["reason"]
        )
        for reason, count in self._rejected.items():
            rejected.add_metric([reason], count)
        yield from (requests, sent, rejected)
