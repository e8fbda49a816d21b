"""The kinds' specs as typed values, from validated and defaulted objects.

Field names are the manifests', in snake case.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from onair_core.contract import LimitsSpec


class _Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class PlaybackSpec(_Spec, frozen=True, kw_only=True):
    name: str = "main"
    policy: str = "public"
    id: str | None = None


class SecretKeyRef(_Spec, frozen=True, kw_only=True):
    name: str
    key: str


class StreamKeySpec(_Spec, frozen=True, kw_only=True):
    rotation: str = ""
    secret_ref: SecretKeyRef | None = None


class NewAssetSpec(_Spec, frozen=True, kw_only=True):
    playback: tuple[PlaybackSpec, ...] = ()
    recording: bool = True
    title: str | None = None
    passthrough: str | None = None


class LiveStreamSpec(_Spec, frozen=True, kw_only=True):
    class_name: str | None = None
    title: str = ""
    playback: tuple[PlaybackSpec, ...] = ()
    latency_mode: str = "standard"
    reconnect_window_seconds: int | None = None
    max_continuous_duration_seconds: int = 43200
    end_on_clean_stop: bool = False
    stream_key: StreamKeySpec = StreamKeySpec()
    new_asset_settings: NewAssetSpec = NewAssetSpec()
    disabled: bool = False
    audio_only: bool = False
    test: bool = False
    passthrough: str = ""


class AllowedNamespaces(msgspec.Struct, frozen=True, kw_only=True):
    from_: str = msgspec.field(default="All", name="from")
    names: tuple[str, ...] = ()


class ServiceSpec(_Spec, frozen=True, kw_only=True):
    type: str = "ClusterIP"
    external_traffic_policy: str | None = None
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class TlsSpec(_Spec, frozen=True, kw_only=True):
    secret_name: str


class EmptyDirSpec(_Spec, frozen=True, kw_only=True):
    size_limit: int | str | None = None


class ClaimSpec(_Spec, frozen=True, kw_only=True):
    size: int | str
    storage_class_name: str | None = None


class VolumeSpec(_Spec, frozen=True, kw_only=True):
    """Of journal and recordings; both None: an emptyDir without a limit."""

    empty_dir: EmptyDirSpec | None = None
    persistent_volume_claim: ClaimSpec | None = None


class ResourcesSpec(_Spec, frozen=True, kw_only=True):
    """Kubernetes quantities by resource."""

    requests: dict[str, int | str] = msgspec.field(default_factory=lambda: {"cpu": "50m", "memory": "256Mi"})
    limits: dict[str, int | str] = msgspec.field(default_factory=dict)


class TolerationSpec(_Spec, frozen=True, kw_only=True, omit_defaults=True):
    key: str | None = None
    operator: str = "Equal"
    value: str | None = None
    effect: str | None = None
    toleration_seconds: int | None = None


class SpreadSpec(_Spec, frozen=True, kw_only=True):
    topology_key: str
    max_skew: int = 1
    when_unsatisfiable: str = "ScheduleAnyway"


class PullSecretRef(_Spec, frozen=True, kw_only=True):
    name: str


class PodSpec(_Spec, frozen=True, kw_only=True):
    """How and where ingest pods run."""

    resources: ResourcesSpec = ResourcesSpec()
    node_selector: dict[str, str] = msgspec.field(default_factory=dict)
    tolerations: tuple[TolerationSpec, ...] = ()
    topology_spread_constraints: tuple[SpreadSpec, ...] = ()
    image_pull_secrets: tuple[PullSecretRef, ...] = ()
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    service_account_name: str | None = None
    assigned_user: bool = False
    priority_class_name: str | None = None


class RolloutSpec(_Spec, frozen=True, kw_only=True):
    max_unavailable_percent: int = 25


class IngestSpec(_Spec, frozen=True, kw_only=True):
    """`image`, `image_pull_policy`, `tls`, `service`, `volume`, `pod` and `rollout` are of clusters only."""

    image: str | None = None
    image_pull_policy: str | None = None
    tls: TlsSpec | None = None
    service: ServiceSpec = ServiceSpec()
    volume: VolumeSpec = VolumeSpec()
    pod: PodSpec = PodSpec()
    rollout: RolloutSpec = RolloutSpec()
    start: str = "Always"
    hostname: str | None = None
    takeover: str = "Never"
    publisher_timeout_seconds: int = 10
    max_ingest_bitrate: int | str | None = None

    @property
    def max_ingest_bits_per_second(self) -> int | None:
        """`max_ingest_bitrate` as a number; None without a limit."""
        return None if self.max_ingest_bitrate is None else bits_per_second(self.max_ingest_bitrate)


class PackagingSpec(_Spec, frozen=True, kw_only=True):
    segment_seconds: int = 2
    part_milliseconds: int = 333
    live_window_seconds: int = 30
    live_window_mebibytes: int = 512


class ClassPlaybackSpec(_Spec, frozen=True, kw_only=True):
    hostnames: tuple[str, ...] = ()


class StoreSecretRef(_Spec, frozen=True, kw_only=True):
    name: str


class StoreSpec(_Spec, frozen=True, kw_only=True):
    url: str
    endpoint: str | None = None
    region: str | None = None
    secret_ref: StoreSecretRef | None = None
    spool_mebibytes: int = 8192


class LiveStreamClassSpec(_Spec, frozen=True, kw_only=True):
    allowed_namespaces: AllowedNamespaces = AllowedNamespaces()
    ingest: IngestSpec = IngestSpec()
    limits: LimitsSpec = LimitsSpec()
    packaging: PackagingSpec = PackagingSpec()
    playback: ClassPlaybackSpec = ClassPlaybackSpec()
    store: StoreSpec | None = None


class SecretRef(_Spec, frozen=True, kw_only=True):
    name: str
    key: str = "secret"


class WebhookEndpointSpec(_Spec, frozen=True, kw_only=True):
    url: str
    secret_ref: SecretRef
    events: tuple[str, ...] = ()
    selector: dict[str, Any] = msgspec.field(default_factory=dict)
    suspended: bool = False


_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}


def bits_per_second(quantity: int | str) -> int:
    """`20M`, `2.5M` or `800000` as bits a second."""
    if isinstance(quantity, int):
        return quantity
    unit = _UNITS.get(quantity[-1:], 1)
    return int(Decimal(quantity.rstrip("kMG")) * unit)


_S = TypeVar("_S", bound=_Spec)


def spec_of(value: dict[str, Any], kind: type[_S]) -> _S:
    """The typed spec of a validated object."""
    return msgspec.convert(value.get("spec") or {}, kind, strict=False)
