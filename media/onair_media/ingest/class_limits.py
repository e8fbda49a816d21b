"""A class's limits → those of the publishers' port, and of the viewers'. Pure."""

from __future__ import annotations

from dataclasses import replace

from onair_core.contract import HttpLimitsSpec, LimitsSpec
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.playback import Limits as HttpLimits
from onair_media.rtmp import Limits


def port_limits(spec: LimitsSpec) -> tuple[Limits, AdmissionLimits, Deadlines]:
    """Those of one connection, those of an address and of all, and how long a connection may take."""
    return (
        Limits(
            min_chunk_size=spec.min_chunk_bytes,
            max_chunk_streams=spec.max_chunk_streams,
            unaccepted_message=spec.max_unauthenticated_message_bytes,
            unaccepted_buffered=spec.max_unauthenticated_buffered_bytes,
            unaccepted_bytes=spec.max_unauthenticated_received_bytes,
            unaccepted_messages=spec.max_unauthenticated_messages,
            max_message=spec.max_message_bytes,
            max_buffered=spec.max_message_bytes + spec.max_message_bytes // 2,
            messages_per_second=spec.max_messages_per_second,
            messages_at_once=spec.max_messages_at_once,
            max_command=spec.max_command_bytes,
            max_name=spec.max_name_length,
            max_amf_depth=spec.max_amf_depth,
            max_amf_values=spec.max_amf_values,
            amf_values_per_second=spec.max_amf_values_per_second,
            amf_values_of_any_command=spec.reserved_amf_values_per_command,
            commands_per_second=spec.max_commands_per_second,
            controls_per_second=spec.max_controls_per_second,
            burst_seconds=float(spec.command_burst_seconds),
            max_streams_created=spec.max_streams_created,
            max_output=spec.max_answer_bytes,
            max_unsent=spec.max_unsent_bytes,
        ),
        AdmissionLimits(
            connections=spec.max_connections,
            connections_per_address=spec.max_connections_per_address,
            connections_per_second=spec.max_connections_per_second,
            connections_per_second_per_address=spec.max_connections_per_second_per_address,
            arrival_burst_seconds=float(spec.connection_burst_seconds),
            waiting=spec.max_unauthenticated_connections,
            waiting_per_address=spec.max_unauthenticated_connections_per_address,
            waiting_bytes=spec.max_unauthenticated_bytes,
            failed_keys_per_minute=spec.failed_keys_per_minute,
            failed_keys_per_minute_per_address=spec.failed_keys_per_minute_per_address,
            site_factor=spec.ipv6_site_factor,
        ),
        Deadlines(
            handshake=float(spec.handshake_timeout_seconds),
            publish=float(spec.publish_timeout_seconds),
            media=float(spec.media_timeout_seconds),
            throttled=float(spec.throttled_timeout_seconds),
        ),
    )


def http_limits(spec: HttpLimitsSpec, process: HttpLimits) -> HttpLimits:
    """Those of viewers. `process`: what this process has room for, which no class can raise."""
    connections = min(spec.max_connections or process.connections, process.connections)
    return replace(
        process,
        connections=connections,
        per_address=spec.max_connections_per_address or max(connections // 2, 1),
        site_factor=spec.ipv6_site_factor,
        head_bytes=spec.max_head_bytes,
        head_seconds=float(spec.head_timeout_seconds),
        idle_seconds=float(spec.idle_timeout_seconds),
    )
