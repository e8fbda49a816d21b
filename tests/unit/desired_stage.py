"""LiveStreams as their plan has granted them, for the tests of what is made of them."""

from __future__ import annotations

from typing import Any

import msgspec

from onair_core.contract import (
    AssetSettings,
    ChannelConfig,
    PlaybackEntry,
    PodConfig,
    StoreSettings,
    StreamRef,
)
from onair_core.manifests import LiveStreamClassSpec
from onair_operator.desired.addresses import exposure
from onair_operator.desired.naming import Incarnation
from onair_operator.desired.pod import DEFAULT_STORE
from onair_operator.desired.provision import ControlAccess, Installation, Provision

KEY = "stream-key-of-forty-characters-aaaaaaaaa"
STREAM = StreamRef("events", "keynote", "b7a9d4c2-0000-4000-8000-000000000001")
INSTALLATION = Installation(
    "onair-system",
    {"app.kubernetes.io/name": "onair", "app.kubernetes.io/component": "operator"},
    "ghcr.io/onair/onair:1.0.0",
)
CONTROL = ControlAccess(
    "control-token-of-at-least-32-characters", "CERTIFICATE (PEM)\n", "PRIVATE KEY (PEM)\n", bytes(32)
)

FULL_CLASS: dict[str, Any] = {
    "ingest": {
        "hostname": "ingest.example.com",
        "image": "registry.example.com/onair@sha256:0123",
        "imagePullPolicy": "IfNotPresent",
        "tls": {"secretName": "ingest-tls"},
        "service": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "loadBalancerClass": "example.com/nlb",
            "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "annotations": {"external-dns.alpha.kubernetes.io/hostname": "a.example"},
        },
        "volume": {"persistentVolumeClaim": {"storageClassName": "fast", "size": "50Gi"}},
        "pod": {
            "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
            "nodeSelector": {"pool": "media"},
            "tolerations": [{"key": "media", "operator": "Exists", "effect": "NoSchedule"}],
            "topologySpreadConstraints": [{"topologyKey": "topology.kubernetes.io/zone"}],
            "imagePullSecrets": [{"name": "registry"}],
            "annotations": {"prometheus.io/scrape": "true"},
            "labels": {"team": "video"},
            "priorityClassName": "live",
        },
        "rollout": {"maxUnavailablePercent": 10},
    }
}


def class_of(spec: dict[str, Any]) -> LiveStreamClassSpec:
    return msgspec.convert(spec, LiveStreamClassSpec)


def provision(
    cls: dict[str, Any] | None = None,
    *,
    stream: StreamRef = STREAM,
    number: int = 1,
    key: str | None = KEY,
    store: str | None = DEFAULT_STORE,
    endpoint: str = "",
    store_secret: str | None = None,
    rtmps_secret: str | None = None,
    image: str = INSTALLATION.image,
    **channel: Any,
) -> Provision:
    config = ChannelConfig(
        stream=stream,
        **{
            "keys": (key,) if key else (),
            "playback": (PlaybackEntry("main", "playback-id-of-keynote"),),
            "asset": AssetSettings(store=StoreSettings(url=store, endpoint=endpoint) if store else None),
            **channel,
        },
    )
    return Provision(
        stream=stream,
        cls=class_of(cls or {}),
        installation=Installation(INSTALLATION.namespace, INSTALLATION.pod_labels, image),
        incarnation=Incarnation(stream.uid, number),
        config=PodConfig(channel=config, title="Opening keynote"),
        control=CONTROL,
        generated_key=key,
        rtmps_secret=rtmps_secret,
        store_secret=store_secret,
        exposed=exposure(class_of(cls or {}), None),
    )
