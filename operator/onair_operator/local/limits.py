"""A class's limits → those of the publishers' port. Pure."""

from __future__ import annotations

from onair_core.manifests import LimitsSpec
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.rtmp import Limits


def port_limits(spec: LimitsSpec) -> tuple[Limits, AdmissionLimits, Deadlines]:
    """Those of one connection, those of an address and of all, and how long a connection may take."""
    return (
        Limits(
            min_chunk_size=spec.min_chunk_bytes,
            max_chunk_streams=spec.max_chunk_streams,
            max_message=spec.max_message_bytes,
            messages_per_second=spec.max_messages_per_second,
            commands_per_second=spec.max_commands_per_second,
            controls_per_second=spec.max_controls_per_second,
            max_amf_depth=spec.max_amf_depth,
            max_amf_values=spec.max_amf_values,
            max_unsent=spec.max_unsent_bytes,
            max_buffered=spec.max_message_bytes + spec.max_message_bytes // 2,
        ),
        AdmissionLimits(
            connections=spec.max_connections,
            connections_per_address=spec.max_connections_per_address,
            waiting=spec.max_unauthenticated_connections,
            waiting_per_address=spec.max_unauthenticated_connections_per_address,
            waiting_bytes=spec.max_unauthenticated_bytes,
            failed_keys_per_minute=spec.failed_keys_per_minute,
            failed_keys_per_minute_per_address=spec.failed_keys_per_minute_per_address,
        ),
        Deadlines(
            handshake=float(spec.handshake_timeout_seconds),
            publish=float(spec.publish_timeout_seconds),
            media=float(spec.media_timeout_seconds),
        ),
    )
