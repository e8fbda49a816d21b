"""LiveStream and class → the channel's configuration. Pure."""

from __future__ import annotations

from hashlib import sha256

from onair_core.contract import (
    AssetSettings,
    ChannelConfig,
    PackagingSettings,
    PlaybackEntry,
    StoreSettings,
    StreamRef,
    Takeover,
)
from onair_core.manifests import LiveStreamClassSpec, LiveStreamSpec

DEFAULT_RECONNECT_WINDOW = 60
_RECONNECT_WINDOWS = {"reduced": 0, "low": 0}


def reconnect_window(spec: LiveStreamSpec) -> int:
    """The window in force, in seconds: without one, it depends on the latency mode, as at Mux."""
    if spec.reconnect_window_seconds is not None:
        return spec.reconnect_window_seconds
    return _RECONNECT_WINDOWS.get(spec.latency_mode, DEFAULT_RECONNECT_WINDOW)


def channel_config(
    stream: StreamRef,
    spec: LiveStreamSpec,
    cls: LiveStreamClassSpec,
    *,
    key: str | None,
    playback: tuple[PlaybackEntry, ...],
    store: StoreSettings | None,
) -> ChannelConfig:
    """`key` None: nobody can publish now. `store`: the class's, or the installation's default."""
    settings = spec.new_asset_settings
    recorded = settings.recording and store is not None
    return ChannelConfig(
        stream=stream,
        keys=(key,) if key else (),
        key_generation=sha256(key.encode()).hexdigest()[:16] if key else "",
        disabled=spec.disabled,
        playback=playback,
        reconnect_window=float(reconnect_window(spec)),
        max_continuous_duration=float(spec.max_continuous_duration_seconds),
        end_on_clean_stop=spec.end_on_clean_stop,
        audio_only=spec.audio_only,
        test=spec.test,
        takeover=Takeover(cls.ingest.takeover),
        publisher_timeout=float(cls.ingest.publisher_timeout_seconds),
        max_ingest_bitrate=cls.ingest.max_ingest_bits_per_second,
        packaging=PackagingSettings(
            segment_seconds=float(cls.packaging.segment_seconds),
            part_milliseconds=cls.packaging.part_milliseconds,
            live_window_seconds=float(cls.packaging.live_window_seconds),
            live_window_bytes=cls.packaging.live_window_mebibytes * 1024 * 1024,
        ),
        asset=AssetSettings(
            store=store if recorded else None,
            playback_policies=tuple(entry.policy for entry in settings.playback),
        ),
    )
