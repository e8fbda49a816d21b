"""docs/operations.md lists every metric, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COUNTED = re.compile(r'Counter(?:MetricFamily)?\(\s*"(onair_\w+)"')
MEASURED = re.compile(r'"(onair_(?:(?!ingest_")\w)+)"')


def metrics() -> set[str]:
    """As Prometheus scrapes them, from where they are made."""
    found: set[str] = set()
    for package in ("media/onair_media", "operator/onair_operator"):
        for file in (ROOT / package).rglob("metrics.py"):
            text = file.read_text(encoding="utf-8")
            counters = set(COUNTED.findall(text))
            found |= {name.removesuffix("_total") + "_total" for name in counters}
            found |= set(MEASURED.findall(text)) - counters
    return found


def test_every_metric_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"`(onair_\w+)", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")))
    assert documented - {"onair_eventlog_overflowed_events_total"} == metrics()
