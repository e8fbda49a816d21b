"""The desired state of one channel: `PUT /v1/config` of an ingest pod, and what `onair local` hands its channels.

Level-triggered: always the whole of it. All times are seconds unless the name says otherwise.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Takeover(StrEnum):
    """What a second publisher with a valid key meets while the first is alive and sending."""

    NEVER = "Never"
    NEWEST = "Newest"


class StreamRef(msgspec.Struct, frozen=True, order=True):
    """Which LiveStream: `uid` changes when an object of the same name is made anew."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class PlaybackEntry(msgspec.Struct, frozen=True):
    """One playback ID; `policy` is `public` (until signed playback exists)."""

    name: str
    id: str
    policy: str = "public"


class PackagingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How CMAF is cut (LiveStreamClass `spec.packaging`)."""

    segment_seconds: float = 2.0
    part_milliseconds: int = 333
    live_window_seconds: float = 30.0
    live_window_bytes: int = 512 * 1024 * 1024


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where recordings go: `file:///…`, `s3://bucket/folder`, `gs://…` or `az://…`; assets lie below `assets/<id>/`.

    `endpoint`, `region`: of a server that speaks S3 and is not Amazon's. `spool_bytes`: how much may wait on disk for
    an object store. Credentials are not part of it: what is configured ends up in logs.
    """

    url: str
    endpoint: str = ""
    region: str = ""
    spool_bytes: int = 8 * 1024 * 1024 * 1024


class AssetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a recording gets (LiveStream `spec.newAssetSettings`). `store` None: nothing is recorded."""

    store: StoreSettings | None = None
    playback_policies: tuple[str, ...] = ()


class ChannelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an ingest channel has to know of its LiveStream and class; the only way in for settings.

    `keys` are the stream keys that publish to this channel, in plain text (never logged).
    `key_generation` changes exactly when the key was reset: a publisher admitted under another generation is cut.
    """

    stream: StreamRef
    keys: tuple[str, ...] = msgspec.field(default=())
    key_generation: str = ""
    disabled: bool = False
    playback: tuple[PlaybackEntry, ...] = ()
    reconnect_window: float = 60.0
    max_continuous_duration: float = 43200.0
    end_on_clean_stop: bool = False
    audio_only: bool = False
    test: bool = False
    takeover: Takeover = Takeover.NEVER
    publisher_timeout: float = 10.0
    max_ingest_bitrate: int | None = None
    packaging: PackagingSettings = PackagingSettings()
    asset: AssetSettings = AssetSettings()

    def __repr__(self) -> str:
        """Without the keys: configs end up in logs and assertion messages."""
        return f"ChannelConfig({self.stream}, playback={[p.id for p in self.playback]}, disabled={self.disabled})"
