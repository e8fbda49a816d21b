"""What the internet can reach, as functions of bytes. Each returns normally, or its subject has a defect.

A target asserts more than "does not raise": what a parser gives must be within its own limits, two ways of reading one
thing must agree, and any split of the bytes must give the same. One input may take `MAX_SECONDS`: what takes longer
holds up everybody else.
"""

from __future__ import annotations

from collections.abc import Callable

from fuzz.http_targets import heads, requests
from fuzz.media_targets import beginnings, inits, records, tags
from fuzz.rtmp_targets import amf, chunks, handshake, session

MAX_SECONDS = 2

TARGETS: dict[str, Callable[[bytes], None]] = {
    "handshake": handshake,
    "chunks": chunks,
    "amf": amf,
    "tags": tags,
    "records": records,
    "beginnings": beginnings,
    "inits": inits,
    "session": session,
    "heads": heads,
    "requests": requests,
}
