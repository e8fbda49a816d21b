"""What ingest says to Prometheus, read from the channels when it is scraped: the hot path counts nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from onair_media.ingest.host import ChannelHost

_LABELS = ("namespace", "name")


class IngestCollector(Collector):
    """Per LiveStream: whether a publisher is connected, bytes received, units dropped, bytes of the live window.

    `rejected` are the counts of `RtmpServer.rejected`.
    """

    def __init__(self, host: ChannelHost, rejected: Mapping[str, int]) -> None:
        self._host = host
        self._rejected = rejected

    def collect(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily("onair_publisher_connected", "A publisher is connected", labels=_LABELS)
        received = CounterMetricFamily("onair_ingest_bytes", "Audio and video received, in bytes", labels=_LABELS)
        window = GaugeMetricFamily("onair_live_window_bytes", "Media held for viewers, in bytes", labels=_LABELS)
        dropped = CounterMetricFamily(
            "onair_dropped_units", "Units of the running broadcast that could not be used", labels=(*_LABELS, "reason")
        )
        for channel in self._host.channels:
            labels = (channel.config.stream.namespace, channel.config.stream.name)
            connected.add_metric(labels, float(channel.connected))
            received.add_metric(labels, float(channel.bytes_received))
            window.add_metric(labels, float(channel.window.stored_bytes))
            for reason, count in channel.dropped.items():
                dropped.add_metric((*labels, reason), float(count))
        rejected = CounterMetricFamily(
            "onair_ingest_rejected", "What the publishers' port did not put up with, by reason", labels=("reason",)
        )
        for reason, count in self._rejected.items():
            rejected.add_metric((reason,), float(count))
        yield from (connected, received, window, dropped, rejected)
