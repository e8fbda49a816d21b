"""The ingest pod: one bare pod for an incarnation, never applied over.

Everything in it fits Pod Security *restricted*. A change of it means a new incarnation, so nothing stands here that a
live pod can be told (stream keys, playback, windows): that is in its Secret.
"""

from __future__ import annotations

from typing import Any

import msgspec

from onair_core.contract import config_hash
from onair_operator.desired import ports
from onair_operator.desired.hashing import stable_hash
from onair_operator.desired.labels import INCARNATION, all_ingest_selector, child_metadata
from onair_operator.desired.naming import pod_name
from onair_operator.desired.provision import Provision
from onair_operator.desired.volume import volume_source

POD_HASH = "onair.dev/pod-hash"
"""Annotation: `pod_hash` of what the pod was made from."""
INCARNATION_NUMBER = "onair.dev/incarnation-number"
"""Annotation: `Incarnation.number`."""

TAKEN = "onair.dev/taken"
"""Annotation: `PodConfig.taken` when the incarnation began; its Secret keeps that and does not change with events."""
RESUMES = "onair.dev/resumes"
"""Annotation: `PodConfig.resumes`, as JSON."""
CONFIG_HASH = "onair.dev/config-hash"
"""Annotation: `config_hash` of the configuration that the pod was made with."""

DATA, SETTINGS, CERTIFICATE, CREDENTIALS = "/data", "/etc/onair", "/etc/onair-rtmps", "/etc/onair-store"
DEFAULT_STORE = f"file://{DATA}/recordings"
"""The store of a class that names none: on the pod's volume."""

_USER = 10001  # the image's
# Publishers are cut, segments closed, the last events read, then viewers let go: 15 s, and what the disk takes.
_GRACE_SECONDS = 60
# After the node controller has waited for its own time (50 s).
_LOST_NODE_SECONDS = 10
_READABLE_BY_GROUP = 0o440
# A pod that is moved for a better fit ends the connection of its encoder.
_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}


def pod(provision: Provision) -> dict[str, Any]:
    """The pod of `provision.incarnation`."""
    stream, incarnation, wanted = provision.stream, provision.incarnation, provision.cls.ingest.pod
    name = pod_name(stream.name, incarnation)
    metadata = child_metadata(stream, name)
    metadata["labels"] = {**wanted.labels, **metadata["labels"], INCARNATION: incarnation.suffix}
    metadata["annotations"] = {
        **_STAY,
        **wanted.annotations,
        POD_HASH: pod_hash(provision),
        INCARNATION_NUMBER: str(incarnation.number),
        TAKEN: str(provision.config.taken),
        CONFIG_HASH: config_hash(provision.config),
    }
    if provision.config.resumes is not None:
        metadata["annotations"][RESUMES] = msgspec.json.encode(provision.config.resumes).decode()
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _spec(provision, name)}


def pod_hash(provision: Provision) -> str:
    """The same for every incarnation of the same pod; another one where a running pod would have to be replaced."""
    wanted = provision.cls.ingest.pod
    return stable_hash(
        {
            "labels": wanted.labels,
            "annotations": {**_STAY, **wanted.annotations},
            "spec": _spec(provision, settings_secret=""),
        }
    )


def _spec(provision: Provision, settings_secret: str) -> dict[str, Any]:
    wanted = provision.cls.ingest.pod
    spec: dict[str, Any] = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            **({} if wanted.assigned_user else {"runAsUser": _USER, "runAsGroup": _USER, "fsGroup": _USER}),
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(provision)],
        "volumes": [
            {"name": "data", **volume_source(provision)},
            {"name": "tmp", "emptyDir": {}},
            _secret_volume("settings", settings_secret),
        ],
    }
    for name, secret in (("rtmps", provision.rtmps_secret), ("store", provision.store_secret)):
        if secret is not None:
            spec["volumes"].append(_secret_volume(name, secret))
    tolerations = [msgspec.to_builtins(toleration) for toleration in wanted.tolerations]
    optional = {
        "nodeSelector": wanted.node_selector,
        "tolerations": [*tolerations, *_soon_gone(tolerations)],
        "topologySpreadConstraints": [
            {**msgspec.to_builtins(constraint), "labelSelector": {"matchLabels": all_ingest_selector()}}
            for constraint in wanted.topology_spread_constraints
        ],
        "imagePullSecrets": [msgspec.to_builtins(secret) for secret in wanted.image_pull_secrets],
        "priorityClassName": wanted.priority_class_name,
        "serviceAccountName": wanted.service_account_name,
    }
    return {**spec, **{name: value for name, value in optional.items() if value}}


def _container(provision: Provision) -> dict[str, Any]:
    ingest = provision.cls.ingest
    args = ["ingest", f"--config={SETTINGS}", f"--data={DATA}"]
    # Every address, IPv6 too: a pod may have no other, and its probes ask the first that it has.
    args += [f"--{name}=:{port}" for name, port in _PORTS.items()]
    mounts = [
        {"name": "data", "mountPath": DATA},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod
        {"name": "settings", "mountPath": SETTINGS, "readOnly": True},
    ]
    if provision.rtmps_secret is not None:
        args.append(f"--rtmps={CERTIFICATE}")
        mounts.append({"name": "rtmps", "mountPath": CERTIFICATE, "readOnly": True})
    if provision.store_secret is not None:
        args.append(f"--store-credentials={CREDENTIALS}")
        mounts.append({"name": "store", "mountPath": CREDENTIALS, "readOnly": True})
    resources = {"requests": ingest.pod.resources.requests, "limits": ingest.pod.resources.limits}
    return {
        "name": "ingest",
        "image": ingest.image or provision.installation.image,
        **({"imagePullPolicy": ingest.image_pull_policy} if ingest.image_pull_policy else {}),
        "args": args,
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in _PORTS.items()],
        "resources": {name: dict(amounts) for name, amounts in resources.items() if amounts},
        "volumeMounts": mounts,
        # Up to a minute for the journal and what an earlier process has left; then a publisher is let in soon.
        "startupProbe": _probe("/livez", periodSeconds=1, failureThreshold=60),
        "readinessProbe": _probe("/readyz", periodSeconds=2, failureThreshold=3),
        # Killing a live pod is worse than a stall: only when it has not answered for a minute.
        "livenessProbe": _probe("/livez", periodSeconds=10, failureThreshold=6),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _soon_gone(wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """From a node that does not answer, unless the class says for how long; Kubernetes' default is five minutes."""
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _LOST_NODE_SECONDS}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if not any(toleration.get("key") in (key, None) for toleration in wanted)
    ]


_PORTS = {"rtmp": ports.RTMP, "http": ports.HTTP, "control": ports.CONTROL, "probes": ports.PROBES}


def _probe(path: str, **timing: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "probes"}, "timeoutSeconds": 5, **timing}


def _secret_volume(name: str, secret: str) -> dict[str, Any]:
    return {"name": name, "secret": {"secretName": secret, "defaultMode": _READABLE_BY_GROUP}}
