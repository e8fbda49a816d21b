"""The ports of an ingest pod: what `onair ingest` is told, what its Service and its NetworkPolicy say."""

RTMP = 5222
"""RTMP and RTMPS."""
HTTP = 8080
"""Playback."""
CONTROL = 9090
"""The operator, by TLS (`onair_core.contract.control`)."""
PROBES = 9091
"""Probes and metrics, without secrets."""
