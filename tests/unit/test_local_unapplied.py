"""Fields that need a cluster: told by `onair local`, with file and line."""

from __future__ import annotations

from pathlib import Path

from onair_core.manifests import load, validate
from onair_operator.local.unapplied import unapplied_fields

CLASS = """\
apiVersion: onair.dev/v1alpha1
kind: LiveStreamClass
metadata: {name: standard}
spec:
  ingest:
    hostname: ingest.example.com
"""
ON_A_CLUSTER = """\
    service: {type: LoadBalancer}
    pod:
      nodeSelector: {pool: media}
"""


def told(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "class.yaml").write_text(text)
    result = validate(load([tmp_path]))
    assert result.problems == []
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in unapplied_fields(result.manifests.values())]


def test_they_are_told_with_their_line(tmp_path: Path) -> None:
    reason = "is for clusters and not applied here: without a cluster there are no pods, volumes and Services"
    assert told(tmp_path, CLASS + ON_A_CLUSTER) == [
        f"class.yaml:7: spec.ingest.service: {reason}",
        f"class.yaml:8: spec.ingest.pod: {reason}",
    ]


def test_defaults_are_not_told(tmp_path: Path) -> None:
    assert told(tmp_path, CLASS) == []
    assert told(tmp_path, CLASS + "    service: {type: ClusterIP}\n    pod: {}\n") == []
