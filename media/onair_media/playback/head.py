"""Recognises what nearly every viewer sends nearly always: the head of a plain GET of a playlist or a segment. Pure.

Everything else is for aiohttp to read. So nothing is lenient here: whatever is recognised, aiohttp would have accepted
and understood in the same way. Two readers of one request that disagree are how requests get smuggled.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_BYTES = 8190
"""A whole head; aiohttp takes as much for one field."""

END = b"\r\n\r\n"

# Possessive throughout: each byte is looked at once, however the head is malformed (RFC 9112 3, 5; RFC 9110 5.5).
_head = re.compile(
    rb"GET /([A-Za-z0-9_-]{8,128})"
    rb"(?:\.m3u8|/([a-z][a-z0-9-]{0,31}+)\.m3u8|/([a-z0-9.-]++/[0-9]++/[a-z][a-z0-9-]*+/[a-z0-9.-]++)) HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t\x20-\x7e\x80-\xff]*+\r\n){1,64}+\r\n"
)

_UNDERSTOOD = frozenset({b"host", b"user-agent", b"accept-encoding", b"if-none-match", b"connection"})

# Besides those: fields that ask for something else, and fields of which aiohttp refuses a second.
_telling = re.compile(
    rb"\n(host|user-agent|accept-encoding|if-none-match|connection"
    rb"|range|if-range|content-[a-z]++|transfer-encoding|expect|upgrade|te|trailer|etag|max-forwards|server)"
    rb":([^\r\n]*+)",
    re.IGNORECASE,
)

_begins_like_a_method = re.compile(rb"[A-Z]{1,10}(?: |$)")


class Ordinary(NamedTuple):
    """A plain GET: of the multivariant playlist, of a `rendition`'s playlist, or of a segment by its media `path`."""

    playback_id: str
    rendition: str | None
    path: str | None
    if_none_match: str
    accept_encoding: str


def read_head(data: bytes) -> Ordinary | None:
    """The request, if `data` is exactly one complete ordinary one."""
    if len(data) > MAX_BYTES:
        return None
    found = _head.fullmatch(data)
    if found is None:
        return None
    fields: dict[bytes, bytes] = {}
    for name, value in _telling.findall(data):
        lower = name.lower()
        if lower not in _UNDERSTOOD or lower in fields:
            return None
        fields[lower] = value.strip(b" \t")
    if b"host" not in fields or fields.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    playback_id, rendition, path = found.groups()
    return Ordinary(
        playback_id.decode(),
        None if rendition is None else rendition.decode(),
        None if path is None else path.decode(),
        _text(fields.get(b"if-none-match", b"")),
        _text(fields.get(b"accept-encoding", b"")),
    )


def may_become_a_head(data: bytes) -> bool:
    """Whether it is worth waiting for the rest of what has no end yet."""
    return _begins_like_a_method.match(data) is not None


class Unended:
    """Counts the bytes behind the last end of a head."""

    def __init__(self) -> None:
        self.count = 0
        self._tail = b""

    def feed(self, data: bytes) -> bool:
        """Whether a head ended in what came now."""
        joined = self._tail + data
        self._tail = joined[1 - len(END) :]
        end = joined.rfind(END)
        self.count = self.count + len(data) if end < 0 else len(joined) - end - len(END)
        return end >= 0


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
