"""For every rule (CEL) of the CRDs, what it refuses and what it just does not. A rule that is not here fails the tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, the field at which it is told, message."""

ONLY_PUBLIC = "only public is supported in this version"
FOR_EVER = "cannot be changed; make another LiveStream"
OWN_ANNOTATIONS = "annotations of onair.dev/ are OnAir's own"
NAME = (
    "metadata.name must have at most 50 characters, begin with a letter and consist of lower-case letters, digits and -: "
    "a Service is named after it"
)


@dataclass(frozen=True)
class RuleCase:
    """`refused` and `accepted` are specs, or names with `names`; with `old`, what a spec that was such may become."""

    refused: list[Any]
    accepted: list[Any]
    old: Spec | None = None
    names: bool = False


def _playback(**entry: str) -> Spec:
    return {"playback": [{"name": "first"}, entry]}


def _toleration(**toleration: Any) -> Spec:
    return {"ingest": {"pod": {"tolerations": [toleration]}}}


def _pod(field: str, *names: str) -> Spec:
    return {"ingest": {"pod": {field: dict.fromkeys(names, "x")}}}


def _service(*names: str) -> Spec:
    return {"ingest": {"service": {"annotations": dict.fromkeys(names, "x")}}}


def _exposed(kind: str | None, **fields: Any) -> Spec:
    return {"ingest": {"service": fields | ({} if kind is None else {"type": kind})}}


def _silent(publisher: int | None = None, media: int | None = None) -> Spec:
    ingest = {} if publisher is None else {"publisherTimeoutSeconds": publisher}
    return {"ingest": ingest, "limits": {} if media is None else {"mediaTimeoutSeconds": media}}


def _to(url: str) -> Spec:
    return {"url": url, "secretRef": {"name": "s"}}


RULES: dict[Key, RuleCase] = {
    ("LiveStream", "", NAME): RuleCase(
        refused=["a" * 51, "1a", "a.b", "0"],
        accepted=["a" * 50, "a1", "a-b", "a"],
        names=True,
    ),
    ("LiveStream", "spec.latencyMode", "only standard is supported in this version"): RuleCase(
        refused=[{"latencyMode": "reduced"}, {"latencyMode": "low"}],
        accepted=[{"latencyMode": "standard"}, {}, {"latencyMode": None}],
    ),
    ("LiveStream", "spec.simulcastTargets", "not supported in this version; leave it empty"): RuleCase(
        refused=[{"simulcastTargets": [{"name": "a", "url": "rtmp://a"}]}],
        accepted=[{"simulcastTargets": []}, {}, {"simulcastTargets": None}],
    ),
    ("LiveStream", "spec.slate", "not supported in this version; leave it out"): RuleCase(
        refused=[{"slate": {}}, {"slate": {"imageUrl": "https://a"}}],
        accepted=[{}, {"slate": None}],
    ),
    (
        "LiveStream",
        "spec.streamKey",
        "rotation belongs to generated keys; with secretRef change the Secret instead",
    ): RuleCase(
        refused=[{"streamKey": {"rotation": rotation, "secretRef": {"name": "a"}}} for rotation in ("1", "")],
        accepted=[{"streamKey": {"rotation": "1"}}, {"streamKey": {"secretRef": {"name": "a"}}}, {"streamKey": {}}],
    ),
    ("LiveStream", "spec.audioOnly", FOR_EVER): RuleCase(
        refused=[{}, {"audioOnly": False}, {"audioOnly": None}],
        accepted=[{"audioOnly": True}, {"audioOnly": True, "title": "another", "disabled": True}],
        old={"audioOnly": True},
    ),
    ("LiveStream", "spec.test", FOR_EVER): RuleCase(
        refused=[{"test": True}],
        accepted=[{}, {"test": False}, {"test": None}, {"disabled": True}],
        old={},
    ),
    ("LiveStream", "spec.playback[].policy", ONLY_PUBLIC): RuleCase(
        refused=[_playback(policy="signed")],
        accepted=[_playback(policy="public"), _playback(id="keynote-2026")],
    ),
    ("LiveStream", "spec.newAssetSettings.playback[].policy", ONLY_PUBLIC): RuleCase(
        refused=[{"newAssetSettings": _playback(policy="signed")}],
        accepted=[{"newAssetSettings": _playback(policy="public")}, {"newAssetSettings": {"playback": []}}],
    ),
    (
        "LiveStreamClass",
        "spec.ingest.publisherTimeoutSeconds",
        "ingest.publisherTimeoutSeconds must not be more than limits.mediaTimeoutSeconds, after which a silent publisher "
        "is disconnected anyway",
    ): RuleCase(
        refused=[_silent(16, 15), _silent(16), _silent(media=9)],
        accepted=[_silent(15, 15), _silent(15), _silent(media=10), {}, {"ingest": None, "limits": None}],
    ),
    ("LiveStreamClass", "spec.ingest.start", "only Always is supported in this version"): RuleCase(
        refused=[{"ingest": {"start": "OnDemand"}}],
        accepted=[{"ingest": {"start": "Always"}}, {"ingest": {}}],
    ),
    ("LiveStreamClass", "spec.ingest.service.annotations", OWN_ANNOTATIONS): RuleCase(
        refused=[_service("onair.dev/x"), _service("a", "onair.dev/pod-hash")],
        accepted=[_service("onair.example/x"), _service("a/onair.dev"), _service()],
    ),
    (
        "LiveStreamClass",
        "spec.ingest.service.externalTrafficPolicy",
        "belongs to type NodePort or LoadBalancer",
    ): RuleCase(
        refused=[_exposed(kind, externalTrafficPolicy="Local") for kind in ("ClusterIP", None)],
        accepted=[_exposed(kind, externalTrafficPolicy="Local") for kind in ("NodePort", "LoadBalancer")]
        + [_exposed("ClusterIP"), _exposed(None, externalTrafficPolicy=None)],
    ),
    ("LiveStreamClass", "spec.ingest.service.loadBalancerClass", "belongs to type LoadBalancer"): RuleCase(
        refused=[_exposed(kind, loadBalancerClass="a/b") for kind in ("ClusterIP", "NodePort", None)],
        accepted=[_exposed(kind, loadBalancerClass="a/b") for kind in ("LoadBalancer",)]
        + [_exposed("ClusterIP"), _exposed(None, loadBalancerClass=None)],
    ),
    ("LiveStreamClass", "spec.ingest.service.loadBalancerSourceRanges", "belongs to type LoadBalancer"): RuleCase(
        refused=[_exposed(kind, loadBalancerSourceRanges=["192.0.2.0/24"]) for kind in ("ClusterIP", "NodePort", None)],
        accepted=[_exposed(kind, loadBalancerSourceRanges=["192.0.2.0/24"]) for kind in ("LoadBalancer",)]
        + [_exposed("ClusterIP"), _exposed(None, loadBalancerSourceRanges=None)],
    ),
    ("LiveStreamClass", "spec.ingest.volume", "emptyDir and persistentVolumeClaim exclude each other"): RuleCase(
        refused=[{"ingest": {"volume": {"emptyDir": {}, "persistentVolumeClaim": {"size": "1Gi"}}}}],
        accepted=[
            {"ingest": {"volume": volume}}
            for volume in (
                {"emptyDir": {}},
                {"persistentVolumeClaim": {"size": "1Gi"}},
                {},
                {"emptyDir": None, "persistentVolumeClaim": {"size": 1}},
            )
        ],
    ),
    ("LiveStreamClass", "spec.ingest.pod.tolerations[]", "without a key, operator must be Exists"): RuleCase(
        refused=[_toleration(value="x"), _toleration(), _toleration(operator="Equal")],
        accepted=[_toleration(operator="Exists"), _toleration(key="a"), _toleration(key="a", value="x")],
    ),
    ("LiveStreamClass", "spec.ingest.pod.tolerations[]", "operator Exists takes no value"): RuleCase(
        refused=[_toleration(key="a", operator="Exists", value="x"), _toleration(operator="Exists", value="")],
        accepted=[_toleration(key="a", operator="Exists"), _toleration(key="a", operator="Exists", value=None)],
    ),
    ("LiveStreamClass", "spec.ingest.pod.tolerations[]", "tolerationSeconds belongs to effect NoExecute"): RuleCase(
        refused=[
            _toleration(key="a", tolerationSeconds=3),
            _toleration(key="a", tolerationSeconds=0, effect="NoSchedule"),
        ],
        accepted=[
            _toleration(key="a", tolerationSeconds=0, effect="NoExecute"),
            _toleration(key="a", effect="NoExecute"),
        ],
    ),
    ("LiveStreamClass", "spec.ingest.pod.annotations", OWN_ANNOTATIONS): RuleCase(
        refused=[_pod("annotations", "onair.dev/pod-hash")],
        accepted=[_pod("annotations", "prometheus.io/scrape", "app.kubernetes.io/x"), _pod("annotations")],
    ),
    (
        "LiveStreamClass",
        "spec.ingest.pod.labels",
        "labels of onair.dev/ and app.kubernetes.io/ are OnAir's own",
    ): RuleCase(
        refused=[_pod("labels", "onair.dev/live-stream"), _pod("labels", "team", "app.kubernetes.io/name")],
        accepted=[_pod("labels", "team", "example.com/app.kubernetes.io"), _pod("labels")],
    ),
    (
        "LiveStreamClass",
        "spec.store.url",
        "must be s3://bucket/folder, gs://bucket/folder, az://container/folder or file:///absolute/folder",
    ): RuleCase(
        refused=[
            {"store": {"url": url}}
            for url in ("s3://", "s3:///folder", "s3:bucket", "http://bucket", "file://relative", "/folder", "gs://?a")
        ],
        accepted=[
            {"store": {"url": url}} for url in ("s3://bucket", "s3://b/a/b", "gs://b/a", "az://c/a", "file:///srv/rec")
        ]
        + [{}, {"store": None}],
    ),
    ("LiveStreamClass", "spec.store.endpoint", "belongs to an s3:// store"): RuleCase(
        refused=[{"store": {"url": url, "endpoint": "https://a"}} for url in ("gs://b", "az://b", "file:///b")],
        accepted=[{"store": {"url": "s3://b", "endpoint": "https://a:9000"}}, {"store": {"url": "gs://b"}}],
    ),
    ("LiveStreamClass", "spec.store.region", "belongs to an s3:// store"): RuleCase(
        refused=[{"store": {"url": url, "region": "eu-west-1"}} for url in ("gs://b", "az://b", "file:///b")],
        accepted=[{"store": {"url": "s3://b", "region": "eu-west-1"}}, {"store": {"url": "file:///b", "region": None}}],
    ),
    ("LiveStreamClass", "spec.store.secretRef", "belongs to an object store"): RuleCase(
        refused=[{"store": {"url": "file:///b", "secretRef": {"name": "a"}}}],
        accepted=[{"store": {"url": url, "secretRef": {"name": "a"}}} for url in ("s3://b", "gs://b", "az://b")],
    ),
    ("Asset", "spec.playback[].policy", ONLY_PUBLIC): RuleCase(
        refused=[_playback(policy="signed")],
        accepted=[_playback(policy="public"), {"playback": []}],
    ),
    ("WebhookEndpoint", "spec.url", "must begin with https:// or http:// and a host"): RuleCase(
        refused=[
            _to("ftp://a.example"),
            _to("https:///path"),
            _to("https://?query"),
            _to("//a.example"),
            _to(" https://a"),
        ],
        accepted=[_to("https://a.example"), _to("http://[::1]:8080/hook?token=x"), _to("http://a/")],
    ),
}
