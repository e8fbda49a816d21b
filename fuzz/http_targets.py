"""What comes to the viewers' port: heads of requests, and what stands in their fields."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser

from onair_media.playback.head import END, MAX_BYTES, Unended, may_become_a_head, read_head
from onair_media.playback.requests import Unsatisfiable, accepts_gzip, byte_range, check_query, none_match

_MAX_FIELD = 8190
_loop = asyncio.new_event_loop()  # aiohttp's parser wants one, and never runs it
_protocol = BaseProtocol(_loop)


def heads(data: bytes) -> None:
    """What is recognised, aiohttp reads as the same one request; bytes without an end count the same in any pieces."""
    found = read_head(data)
    if found is not None:
        assert len(data) <= MAX_BYTES and data.endswith(END) and may_become_a_head(data)
        _agree(data, found.playback_id, found.if_none_match, found.accept_encoding)
    whole, pieces = Unended(), Unended()
    ended = whole.feed(data)
    ends = [pieces.feed(data[at : at + 3]) for at in range(0, len(data), 3)]
    assert any(ends) == ended == (END in data)
    assert whole.count == pieces.count == len(data.rpartition(END)[2])


def _agree(data: bytes, playback_id: str, if_none_match: str, accept_encoding: str) -> None:
    parser = HttpRequestParser(_protocol, _loop, 2**16, max_line_size=_MAX_FIELD, max_field_size=_MAX_FIELD)
    try:
        messages, upgraded, tail = parser.feed_data(data)
    except HttpProcessingError as error:
        raise AssertionError(f"aiohttp refuses it: {error!r}") from error
    assert len(messages) == 1 and not upgraded and not tail, "aiohttp sees something else behind it"
    request = messages[0][0]
    assert request.method == "GET" and not request.should_close and not request.chunked
    assert request.path.lstrip("/").partition("/")[0].removesuffix(".m3u8") == playback_id
    assert request.headers.get("If-None-Match", "") == if_none_match
    assert request.headers.get("Accept-Encoding", "") == accept_encoding


def requests(data: bytes) -> None:
    """Lines: a size, an entity tag, Accept-Encoding, If-None-Match, Range, If-Range, a query."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    size_text, etag, accept_encoding, if_none_match, range_header, if_range, query = [*lines, *[""] * 7][:7]
    size = len(size_text) if not size_text.isascii() or not size_text.isdigit() else int(size_text[:15])
    accepts_gzip(accept_encoding)
    assert none_match(f"{if_none_match},{etag}", etag) or "," in etag or etag != etag.strip()
    try:
        found = byte_range(range_header, if_range, size, etag)
    except Unsatisfiable:
        found = None
    assert found is None or 0 <= found.start < found.stop <= size
    refusal = check_query(parse_qsl(query, keep_blank_values=True))
    assert refusal is None or 400 <= refusal.status < 500
