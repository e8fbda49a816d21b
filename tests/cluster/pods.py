"""Pods of the project's image, as tests need them."""

from __future__ import annotations

from typing import Any

import yaml

from kubelab.kubectl import Kubectl

HTTP_PORT = 8080
MANIFESTS = [
    {
        "apiVersion": "onair.dev/v1alpha1",
        "kind": "LiveStreamClass",
        "metadata": {"name": "standard", "annotations": {"onair.dev/is-default-class": "true"}},
        "spec": {},
    },
    {
        "apiVersion": "onair.dev/v1alpha1",
        "kind": "LiveStream",
        "metadata": {"name": "keynote"},
        "spec": {"playback": [{"policy": "public"}]},
    },
]

# What the restricted Pod Security Standard asks for, and a root file system that cannot be written.
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def serve(kubectl: Kubectl, image: str, name: str, node: str | None = None) -> None:
    """Runs `onair local` in a pod behind a Service, both of that name, and waits until it is ready."""
    metadata = {"name": name, "labels": {"app": name}}
    manifests = "---\n".join(yaml.safe_dump(manifest) for manifest in MANIFESTS)
    kubectl.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"keynote.yaml": manifests}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(image, name, node)},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": HTTP_PORT}]},
        },
    )
    kubectl.wait(f"pod/{name}", "Ready")


def pod_spec(image: str, manifests: str, node: str | None) -> dict[str, Any]:
    container = {
        "name": "onair",
        "image": image,
        "args": ["local", "/manifests", "--state-dir", "/data/state", "--http", f"0.0.0.0:{HTTP_PORT}"],
        "ports": [{"name": "http", "containerPort": HTTP_PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "manifests", "mountPath": "/manifests"}, {"name": "data", "mountPath": "/data"}],
    }
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "nodeSelector": {"kubernetes.io/hostname": node} if node else {},
        "containers": [container],
        "securityContext": {"fsGroup": 10001},
        "volumes": [
            {"name": "manifests", "configMap": {"name": manifests}},
            {"name": "data", "emptyDir": {}},
        ],
    }


def fetch(kubectl: Kubectl, pod: str, url: str) -> str:
    """The body of a page, as that pod gets it."""
    script = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
    return kubectl.exec(pod, "python", "-c", script, url)
