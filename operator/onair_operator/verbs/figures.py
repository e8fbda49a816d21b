"""What the running process says of its streams now: read from its metrics, the one place that has rapid figures."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from onair_core.local_state import LocalState, LocalStateError

TIMEOUT_SECONDS = 5.0


@dataclass(slots=True)
class Figures:
    """Of one stream. `health`: excellent, good, poor or unknown. `dropped`: units by reason.

    `media`: seconds of the running broadcast; None: there is none.
    """

    connected: bool = False
    health: str = "unknown"
    media: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def text(self, name: str, scale: float, unit: str) -> str:
        """A figure for people; empty when it is not known."""
        value = self.values.get(name)
        return "" if value is None else f"{value / scale:.1f}{unit}"


def figures_if_running(state: LocalState) -> dict[tuple[str, str], Figures]:
    """As `read_figures`; none of any stream when no process answers."""
    try:
        return read_figures(state)
    except LocalStateError:
        return {}


def read_figures(state: LocalState) -> dict[tuple[str, str], Figures]:
    """By namespace and name. Raises `LocalStateError` when no process serves this folder."""
    endpoint = state.endpoint()
    try:
        with urllib.request.urlopen(f"{endpoint.http}/metrics", timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own
            text = answer.read().decode()
    except OSError as error:
        raise LocalStateError(f"onair local does not answer on {endpoint.http}: {error}") from error
    return parse_figures(text)


def parse_figures(text: str) -> dict[tuple[str, str], Figures]:
    """Metrics as Prometheus scrapes them."""
    found: dict[tuple[str, str], Figures] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if "name" not in labels or "namespace" not in labels:
                continue
            figures = found.setdefault((labels["namespace"], labels["name"]), Figures())
            if sample.name == "onair_ingest_health":
                if sample.value:
                    figures.health = labels["rating"]
            elif sample.name == "onair_publisher_connected":
                figures.connected = bool(sample.value)
            elif sample.name == "onair_broadcast_seconds":
                figures.media = sample.value
            elif sample.name == "onair_dropped_units_total":
                figures.dropped[labels["reason"]] = int(sample.value)
            elif sample.name.startswith("onair_ingest_"):
                figures.values[sample.name.removeprefix("onair_ingest_")] = sample.value
    return found
