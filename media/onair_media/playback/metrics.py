"""What playback counts for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class PlaybackMetrics:
    """Requests by kind (`multivariant`, `media`, `segment`, `page`) and status, and bytes of bodies by kind.

    No playback ID is a label: their number has no bound.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._requests = Counter(
            "onair_playback_requests",
            "Playback requests answered",
            ["kind", "status"],
            registry=registry,
        )
        self._bytes = Counter("onair_playback_sent_bytes", "Bytes of response bodies", ["kind"], registry=registry)
        self._children: dict[tuple[str, int], tuple[Counter, Counter]] = {}

    def count(self, kind: str, status: int, size: int) -> None:
        """One answered request; `size` is its body's, in bytes."""
        children = self._children.get((kind, status))
        if children is None:
            children = (self._requests.labels(kind, str(status)), self._bytes.labels(kind))
            self._children[kind, status] = children
        requests, sent = children
        requests.inc()
        sent.inc(size)
