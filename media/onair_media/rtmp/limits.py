"""What one connection may cost, checked when a header is parsed and before memory is taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, unless the name says otherwise.

    Chunks below 128 bytes are refused: with 1-byte chunks a peer makes the server work 20 times as much as it sends.
    """

    min_chunk_size: int = 128
    max_message: int = 16 * 1024 * 1024
    max_command: int = 256 * 1024
    max_buffered: int = 24 * 1024 * 1024
    max_chunk_streams: int = 64
    max_streams_created: int = 16
    max_output: int = 128 * 1024
    max_name: int = 2048
