"""kwok: nodes without a machine behind them, on which pods are Running as soon as they are bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from kubelab.control_plane import LEASE_SECONDS, Binary, Command
from kubelab.site import Site

FAKE = "kwok.x-k8s.io/node"

# Stages: what kwok makes of a Node or Pod that matches. Without any it does nothing (its own are in its repository).
_NODE_STATUS = """\
{{ $now := Now }}
phase: Running
conditions:
{{ range NodeConditions }}
- {type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }}, message: {{ .message | Quote }}, lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $now | Quote }}}
{{ end }}
"""
_POD_STATUS = """\
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
conditions:
{{ range $type := (list "Initialized" "Ready" "ContainersReady") }}
- {type: {{ $type | Quote }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- {name: {{ .name | Quote }}, image: {{ .image | Quote }}, imageID: "", ready: true, started: true, restartCount: 0, state: {running: {startedAt: {{ $now | Quote }}}}}
{{ end }}
{{ with NodeIPsWith .spec.nodeName }}
hostIP: {{ index . 0 | Quote }}
{{ end }}
{{ with PodIPsWith .spec.nodeName false ( or .metadata.uid "" ) ( or .metadata.name "" ) ( or .metadata.namespace "" ) }}
podIP: {{ index . 0 | Quote }}
podIPs: [{ip: {{ index . 0 | Quote }}}]
{{ end }}
"""
_READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'


def configuration() -> str:
    """Of kwok: the stages."""
    return yaml.safe_dump_all(_stages())


def command(binary: Binary, site: Site, pods: str) -> Command:
    file = site.folder / "kwok.yaml"
    file.write_text(configuration(), encoding="utf-8")
    return [
        binary("kwok"),
        f"--kubeconfig={site.pki}/kwok.kubeconfig",
        f"--config={file}",
        f"--manage-nodes-with-annotation-selector={FAKE}=fake",
        f"--node-lease-duration-seconds={LEASE_SECONDS}",
        f"--cidr={pods}",
        "--node-ip=10.245.0.1",
    ]


def node(name: str) -> dict[str, Any]:
    """A Node that kwok answers for."""
    room = {"cpu": "1000", "memory": "1000Gi", "pods": "20000"}
    return {
        "metadata": {"name": name, "annotations": {FAKE: "fake"}, "labels": {"kubernetes.io/hostname": name}},
        "status": {"capacity": room, "allocatable": room},
    }


def _stages() -> Iterator[dict[str, Any]]:
    yield _stage("node-ready", "Node", [_where(_READY, "NotIn", "True")], {"statusTemplate": _NODE_STATUS})
    lives = _where(".metadata.deletionTimestamp", "DoesNotExist")
    pending = _where(".status.phase", "In", "Pending")
    yield _stage("pod-running", "Pod", [lives, pending], {"statusTemplate": _POD_STATUS})
    yield _stage("pod-gone", "Pod", [_where(".metadata.deletionTimestamp", "Exists")], {"delete": True})


def _stage(name: str, kind: str, where: list[dict[str, Any]], following: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": where},
            "next": following,
        },
    }


def _where(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator} | ({"values": list(values)} if values else {})
