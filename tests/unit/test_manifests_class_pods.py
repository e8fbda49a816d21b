"""LiveStreamClass `spec.ingest`: the fields of pods, volumes and Services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from desired_stage import FULL_CLASS, class_of

from onair_core.manifests import LiveStreamClassSpec, load, spec_of, validate

HEAD = {"apiVersion": "onair.dev/v1alpha1", "kind": "LiveStreamClass", "metadata": {"name": "standard"}}


def judged(tmp_path: Path, spec: dict[str, Any]) -> tuple[LiveStreamClassSpec | None, list[str]]:
    (tmp_path / "class.yaml").write_text(yaml.safe_dump({**HEAD, "spec": spec}))
    result = validate(load([tmp_path]))
    made = [spec_of(manifest.value, LiveStreamClassSpec) for manifest in result.manifests.values()]
    return (made[0] if made else None), [f"{problem.path}: {problem.message}" for problem in result.problems]


def test_the_crds_defaults_are_the_codes(tmp_path: Path) -> None:
    assert judged(tmp_path, {}) == (LiveStreamClassSpec(), [])


def test_a_class_with_everything_is_valid(tmp_path: Path) -> None:
    made, problems = judged(tmp_path, FULL_CLASS)
    assert problems == [] and made == class_of(FULL_CLASS)


@pytest.mark.parametrize(
    ("ingest", "told"),
    [
        ({"service": {"type": "ExternalName"}}, "must be one of ClusterIP, NodePort, LoadBalancer"),
        ({"service": {"annotations": {"onair.dev/x": "1"}}}, "OnAir's own"),
        ({"tls": {}}, "spec.ingest.tls.secretName: is required"),
        ({"volume": {"emptyDir": {}, "persistentVolumeClaim": {"size": 1}}}, "exclude each other"),
        ({"volume": {"persistentVolumeClaim": {}}}, "size: is required"),
        ({"volume": {"emptyDir": {"sizeLimit": "10 GB"}}}, "must match"),
        ({"pod": {"resources": {"limits": {"memory": "1GB"}}}}, "spec.ingest.pod.resources.limits.memory: must match"),
        ({"pod": {"labels": {"onair.dev/live-stream": "x"}}}, "OnAir's own"),
        ({"pod": {"labels": {"app.kubernetes.io/name": "x"}}}, "OnAir's own"),
        ({"pod": {"tolerations": [{"value": "x"}]}}, "operator must be Exists"),
        ({"pod": {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}}, "takes no value"),
        ({"pod": {"tolerations": [{"key": "a", "tolerationSeconds": 3}]}}, "belongs to effect NoExecute"),
        ({"pod": {"hostNetwork": True}}, "unknown field"),
        ({"pod": {"topologySpreadConstraints": [{"maxSkew": 1}]}}, "topologyKey: is required"),
    ],
)  # fmt: skip
def test_what_no_pod_could_be_made_of_is_refused(tmp_path: Path, ingest: dict[str, Any], told: str) -> None:
    _, problems = judged(tmp_path, {"ingest": ingest})
    assert len(problems) == 1 and told in problems[0]
