"""What publishers and viewers may take of a server: `spec.limits` of a LiveStreamClass, and what a pod is told of it.

Field names are the manifests', in snake case; the CRD has their bounds, and what each is for.
"""

from __future__ import annotations

import msgspec


class _Spec(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class HttpLimitsSpec(_Spec, frozen=True, kw_only=True):
    """What viewers may take of the server. None: as many as the process has files for."""

    max_connections: int | None = None
    max_connections_per_address: int | None = None
    ipv6_site_factor: int = 1
    max_head_bytes: int = 16_384
    head_timeout_seconds: int = 10
    idle_timeout_seconds: int = 75


class LimitsSpec(_Spec, frozen=True, kw_only=True):
    """What publishers may take of the server. Counts, bytes, seconds, and counts in the time that the name says."""

    max_connections: int = 5_000
    max_connections_per_address: int = 1_000
    max_connections_per_second: int = 500
    max_connections_per_second_per_address: int = 50
    connection_burst_seconds: int = 4
    ipv6_site_factor: int = 4
    max_unauthenticated_connections: int = 2_000
    max_unauthenticated_connections_per_address: int = 200
    max_unauthenticated_bytes: int = 67_108_864
    max_unauthenticated_message_bytes: int = 262_144
    max_unauthenticated_buffered_bytes: int = 524_288
    max_unauthenticated_received_bytes: int = 1_048_576
    max_unauthenticated_messages: int = 500
    failed_keys_per_minute: int = 6_000
    failed_keys_per_minute_per_address: int = 60
    min_chunk_bytes: int = 128
    max_chunk_streams: int = 64
    max_message_bytes: int = 16_777_216
    max_messages_per_second: int = 5_000
    max_messages_at_once: int = 500
    max_commands_per_second: int = 50
    max_controls_per_second: int = 50
    command_burst_seconds: int = 2
    max_command_bytes: int = 262_144
    max_name_length: int = 2_048
    max_streams_created: int = 16
    max_amf_depth: int = 32
    max_amf_values: int = 20_000
    max_amf_values_per_second: int = 10_000
    reserved_amf_values_per_command: int = 100
    max_answer_bytes: int = 131_072
    max_unsent_bytes: int = 262_144
    handshake_timeout_seconds: int = 10
    publish_timeout_seconds: int = 20
    media_timeout_seconds: int = 15
    throttled_timeout_seconds: int = 30
    http: HttpLimitsSpec = HttpLimitsSpec()
