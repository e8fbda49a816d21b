"""What ingest says to Prometheus, read from the channels when it is scraped: the hot path counts nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from onair_core.contract import StreamRef
from onair_media.ingest.health import Figures, Rating

if TYPE_CHECKING:
    from onair_media.ingest.host import ChannelHost

_LABELS = ("namespace", "name")
_FIGURES = (
    ("bitrate", "onair_ingest_bitrate_bits", "What the publisher sends, in bits a second, over half a minute"),
    ("frame_rate", "onair_ingest_frame_rate", "Pictures a second, over half a minute"),
    ("keyframes", "onair_ingest_keyframes", "Keyframes of this connection"),
    (
        "keyframe_interval",
        "onair_ingest_keyframe_interval_seconds",
        "Between the last two keyframes, or since the last one if that is longer",
    ),
    ("longest_keyframe_interval", "onair_ingest_longest_keyframe_interval_seconds", "The longest of this connection"),
    ("drift", "onair_ingest_drift_milliseconds", "How far media time lags behind the clock on the wall"),
    ("drift_deviation", "onair_ingest_drift_deviation_milliseconds", "Drift against its average of half a minute"),
)


class IngestCollector(Collector):
    """Per LiveStream: whether a publisher is connected, bytes received, units dropped, media, live window, health.

    `rejected` are the counts of `RtmpServer.rejected`; docs/operations.md says what each reason means.
    """

    def __init__(self, host: ChannelHost, rejected: Mapping[str, int]) -> None:
        self._host = host
        self._rejected = rejected

    def collect(self) -> Iterator[Metric]:
        connected = GaugeMetricFamily("onair_publisher_connected", "A publisher is connected", labels=_LABELS)
        received = CounterMetricFamily("onair_ingest_bytes", "Audio and video received, in bytes", labels=_LABELS)
        media = GaugeMetricFamily(
            "onair_broadcast_seconds", "Media of the running broadcast in complete segments", labels=_LABELS
        )
        window = GaugeMetricFamily("onair_live_window_bytes", "Media held for viewers, in bytes", labels=_LABELS)
        dropped = CounterMetricFamily(
            "onair_dropped_units", "Units of the running broadcast that could not be used", labels=(*_LABELS, "reason")
        )
        for channel in self._host.channels:
            labels = (channel.config.stream.namespace, channel.config.stream.name)
            connected.add_metric(labels, float(channel.connected))
            received.add_metric(labels, float(channel.bytes_received))
            if channel.media_seconds is not None:
                media.add_metric(labels, channel.media_seconds)
            window.add_metric(labels, float(channel.window.stored_bytes))
            for reason, count in channel.dropped.items():
                dropped.add_metric((*labels, reason), float(count))
        rejected = CounterMetricFamily(
            "onair_ingest_rejected", "What the publishers' port did not put up with, by reason", labels=("reason",)
        )
        for reason, count in self._rejected.items():
            rejected.add_metric((reason,), float(count))
        waiting = GaugeMetricFamily(
            "onair_store_waiting_bytes",
            "On this disk, on the way to object stores",
            value=self._host.stores.waiting_bytes,
        )
        yield from (connected, received, media, window, dropped, rejected, waiting)
        yield from _health({channel.config.stream: channel.health() for channel in self._host.channels})


def _health(streams: Mapping[StreamRef, Figures]) -> Iterator[Metric]:
    """The figures that are known of those that publish, and their ratings as a state of its own each."""
    ratings = GaugeMetricFamily(
        "onair_ingest_health",
        "1 for the rating in force: excellent, good, poor or unknown",
        labels=(*_LABELS, "rating"),
    )
    for stream, figures in streams.items():
        for rating in Rating:
            ratings.add_metric((stream.namespace, stream.name, rating.value), float(figures.rating is rating))
    yield ratings
    for field, name, text in _FIGURES:
        family = GaugeMetricFamily(name, text, labels=_LABELS)
        for stream, figures in streams.items():
            value = getattr(figures, field)
            if value is not None:
                family.add_metric((stream.namespace, stream.name), float(value))
        yield family
