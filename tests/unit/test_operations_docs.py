"""docs/operations.md names every metric and every reason, and no other metric."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.playback import Limits as HttpLimits

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")))
PORT = [*ROOT.glob("media/onair_media/ingest/*.py"), *ROOT.glob("media/onair_media/rtmp/*.py")]
COUNTED = re.compile(r'Counter(?:MetricFamily)?\(\s*"(onair_\w+)"')
MEASURED = re.compile(r'"(onair_(?:(?!ingest_")\w)+)"')
# How a reason is written where it is counted.
REASON = re.compile(
    r'ProtocolError\([^\n]*, "(\w+)"\)|rejected\["(\w+)"\]|count\(\["(\w+)"\]\)|_reject\("(\w+)"\)|ignored\["(\w+)"'
    r'|WireClosedError\([^\n]*"(\w+)"\)'
)


def named(text: str) -> set[str]:
    return {name for match in REASON.findall(text) for name in match if name}


def metrics() -> set[str]:
    """As Prometheus scrapes them, from where they are made."""
    found: set[str] = set()
    for package in ("media/onair_media", "operator/onair_operator"):
        for file in (ROOT / package).rglob("*metrics.py"):
            text = file.read_text(encoding="utf-8")
            counters = set(COUNTED.findall(text))
            found |= {name.removesuffix("_total") + "_total" for name in counters}
            found |= set(MEASURED.findall(text)) - counters
    return found


def test_every_metric_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"`(onair_\w+)", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")))
    assert documented - {"onair_eventlog_overflowed_events_total"} == metrics()


def test_every_reason_is_there() -> None:
    reasons = {reason for file in PORT for reason in named(file.read_text(encoding="utf-8"))}
    assert len(reasons) > 15, "or this test finds none"
    reasons |= {field.name for table in (AdmissionLimits, HttpLimits) for field in fields(table)}
    reasons -= {"arrival_burst_seconds", "site_factor"}
    reasons |= {f"{field.name}_deadline" for field in fields(Deadlines)}
    assert reasons - DOCUMENTED == set()
