"""Messages to chunks: what a server says is short, so every message begins with a type 0 header."""

from __future__ import annotations

OUT_CHUNK_SIZE = 4096


def chunk_message(csid: int, kind: int, stream: int, payload: bytes, chunk_size: int = OUT_CHUNK_SIZE) -> bytes:
    """One message, timestamp 0, on a chunk stream from 2 to 63 (RTMP 5.3.1)."""
    header = (
        bytes((csid,)) + b"\0\0\0" + len(payload).to_bytes(3, "big") + bytes((kind,)) + stream.to_bytes(4, "little")
    )
    pieces = [payload[at : at + chunk_size] for at in range(0, len(payload), chunk_size)] or [b""]
    return header + bytes((0xC0 | csid,)).join(pieces)
