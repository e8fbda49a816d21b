"""What an ingest channel tells about its broadcasts: the journal's records (DESIGN: Broadcast, epoch, sequence)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Phase(StrEnum):
    """`status.phase` of a LiveStream: exactly Mux's three."""

    IDLE = "Idle"
    ACTIVE = "Active"
    DISABLED = "Disabled"


class EventType(StrEnum):
    """Every event OnAir can cause, by the name its webhook carries."""

    STREAM_CREATED = "video.live_stream.created"
    STREAM_CONNECTED = "video.live_stream.connected"
    STREAM_RECORDING = "video.live_stream.recording"
    STREAM_ACTIVE = "video.live_stream.active"
    STREAM_DISCONNECTED = "video.live_stream.disconnected"
    STREAM_IDLE = "video.live_stream.idle"
    STREAM_UPDATED = "video.live_stream.updated"
    STREAM_ENABLED = "video.live_stream.enabled"
    STREAM_DISABLED = "video.live_stream.disabled"
    STREAM_DELETED = "video.live_stream.deleted"
    STREAM_WARNING = "video.live_stream.warning"
    ASSET_CREATED = "video.asset.created"
    ASSET_READY = "video.asset.ready"
    ASSET_ERRORED = "video.asset.errored"
    ASSET_UPDATED = "video.asset.updated"
    ASSET_DELETED = "video.asset.deleted"
    ASSET_WARNING = "video.asset.warning"
    ASSET_COMPLETED = "video.asset.live_stream_completed"


class DisconnectReason(StrEnum):
    """Why a publisher's connection ended; `data.reason` of `disconnected`."""

    CLEAN_STOP = "CleanStop"  # FCUnpublish, closeStream or deleteStream: the encoder said goodbye
    CONNECTION_LOST = "ConnectionLost"
    PUBLISHER_SILENT = "PublisherSilent"
    PROTOCOL_ERROR = "ProtocolError"
    REPLACED = "Replaced"  # by a newer publisher
    DISABLED = "Disabled"
    KEY_RESET = "KeyReset"
    DELETED = "Deleted"
    COMPLETED = "Completed"
    MAX_DURATION = "MaxDuration"
    SERVER_RESTARTED = "ServerRestarted"
    POD_LOST = "PodLost"  # its ingest pod is gone, and told nothing of it
    INTERNAL_ERROR = "InternalError"  # a defect of OnAir; the log has it
    # The connection stays, and belongs to another broadcast now.
    CODEC_CHANGED = "CodecChanged"
    TRACKS_CHANGED = "TracksChanged"
    # What the publisher sends cannot be taken; a `warning` before says it in words.
    UNSUPPORTED_VIDEO_CODEC = "UnsupportedVideoCodec"
    UNSUPPORTED_AUDIO_CODEC = "UnsupportedAudioCodec"
    INGEST_BITRATE_EXCEEDED = "IngestBitrateExceeded"
    TOO_MANY_DISCONTINUITIES = "TooManyDiscontinuities"
    WINDOW_TOO_LARGE = "LiveWindowTooLarge"


class IngestProblem(StrEnum):
    """What is wrong with what a publisher sends: `data.reason` of a `warning`, and of the condition IngestHealthy.

    Those that are a `DisconnectReason` too end the connection.
    """

    GOP_TOO_LONG = "GopTooLong"
    NO_KEYFRAME = "NoKeyframe"
    OUT_OF_STEP = "AudioVideoOutOfStep"
    BITRATE_EXCEEDED = "IngestBitrateExceeded"
    UNSUPPORTED_VIDEO_CODEC = "UnsupportedVideoCodec"
    UNSUPPORTED_AUDIO_CODEC = "UnsupportedAudioCodec"
    TOO_MANY_DISCONTINUITIES = "TooManyDiscontinuities"
    WINDOW_TOO_LARGE = "LiveWindowTooLarge"
    TRACK_IGNORED = "TrackIgnored"


class BroadcastEnd(StrEnum):
    """Why a broadcast ended; `data.reason` of `idle`."""

    WINDOW_ELAPSED = "ReconnectWindowElapsed"
    CLEAN_STOP = "CleanStop"  # with spec.endOnCleanStop
    COMPLETED = "Completed"
    DISABLED = "Disabled"
    KEY_RESET = "KeyReset"
    DELETED = "Deleted"
    MAX_DURATION = "MaxDuration"
    TEST_OVER = "TestStreamOver"
    POD_LOST = "PodLost"  # its ingest pod is gone, with the volume that would let another go on
    CODEC_CHANGED = "CodecChanged"
    TRACKS_CHANGED = "TracksChanged"  # a track came that it had begun without, before anyone could watch it


class BroadcastRef(msgspec.Struct, frozen=True):
    """One broadcast is one Asset: `id` is also the Asset's name and its folder in the store.

    `epoch` counts the stream's incarnations and broadcasts, upwards for ever; media URIs and the live media sequence
    contain it, so that neither ever means anything else.
    """

    id: str
    epoch: int


class JournalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a channel's journal, durable before anyone sees it; (epoch, n) never repeats.

    `at` is Unix seconds. `data` holds what the type needs beyond the snapshot that the control plane takes:
    `reason` of `disconnected`, `idle` and `warning` (there with `message`), `duration` (seconds), `tracks` and
    `recording_times` of asset events, and of `disconnected`: how far the recording has come.
    """

    epoch: int
    n: int
    type: EventType
    at: float
    broadcast: BroadcastRef | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)
