"""docs/metrics.md names every metric and every reason."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.playback import Limits as HttpLimits

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTED = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
METRICS = [*ROOT.glob("media/**/metrics.py"), *ROOT.glob("operator/**/metrics.py")]
COUNTED = [*ROOT.glob("media/onair_media/ingest/*.py"), *ROOT.glob("media/onair_media/rtmp/*.py")]
# How a reason is written where it is counted.
REASON = re.compile(
    r'ProtocolError\([^\n]*, "(\w+)"\)|rejected\["(\w+)"\]|count\(\["(\w+)"\]\)|_reject\("(\w+)"\)|ignored\["(\w+)"'
    r'|WireClosedError\([^\n]*"(\w+)"\)'
)


def named(text: str) -> set[str]:
    return {name for match in REASON.findall(text) for name in match if name}


@pytest.mark.parametrize("file", METRICS, ids=lambda file: file.parent.name)
def test_every_metric_is_there(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    names = set(re.findall(r'"(onair_\w+)"', text))
    assert names
    assert {name for name in names if not {name, f"{name}_total"} & DOCUMENTED} == set()


def test_every_reason_is_there() -> None:
    reasons = {reason for file in COUNTED for reason in named(file.read_text(encoding="utf-8"))}
    assert len(reasons) > 15, "or this test finds none"
    reasons |= {field.name for field in fields(AdmissionLimits)} - {"arrival_burst_seconds", "site_factor"}
    reasons |= {f"{field.name}_deadline" for field in fields(Deadlines)} | {field.name for field in fields(HttpLimits)}
    assert reasons - DOCUMENTED == set()
