"""The kinds' specs as typed values, from validated and defaulted objects.

Field names are the manifests', in snake case.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec


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


class IngestSpec(_Spec, frozen=True, kw_only=True):
    start: str = "Always"
    hostname: str | None = None
    takeover: str = "Never"
    publisher_timeout_seconds: int = 10


class PackagingSpec(_Spec, frozen=True, kw_only=True):
    segment_seconds: int = 2
    part_milliseconds: int = 333
    live_window_seconds: int = 30


class ClassPlaybackSpec(_Spec, frozen=True, kw_only=True):
    hostnames: tuple[str, ...] = ()


class StoreSpec(_Spec, frozen=True, kw_only=True):
    url: str


class LiveStreamClassSpec(_Spec, frozen=True, kw_only=True):
    allowed_namespaces: AllowedNamespaces = AllowedNamespaces()
    ingest: IngestSpec = IngestSpec()
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


_S = TypeVar("_S", bound=_Spec)


def spec_of(value: dict[str, Any], kind: type[_S]) -> _S:
    """The typed spec of a validated object."""
    return msgspec.convert(value.get("spec") or {}, kind, strict=False)
