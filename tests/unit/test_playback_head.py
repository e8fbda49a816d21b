"""Heads that go the short way, and all those that must not (RFC 9112 2.2, 3, 5; RFC 9110 5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.playback.head import MAX_BYTES, Unended, may_become_a_head, read_head

LINE = b"GET /keynote-2026/video.m3u8 HTTP/1.1\r\n"
HOST = b"Host: a\r\n"


def head(*fields: bytes, line: bytes = LINE, host: bytes = HOST) -> bytes:
    return line + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


@pytest.mark.parametrize(
    ("target", "rendition", "path"),
    [
        (b"/keynote-2026.m3u8", None, None),
        (b"/keynote-2026/video.m3u8", "video", None),
        (b"/keynote-2026/audio-2.m3u8", "audio-2", None),
        (b"/keynote-2026/kn.1/2/audio-2/init-0.mp4", None, "kn.1/2/audio-2/init-0.mp4"),
    ],
)
def test_what_players_ask_all_the_time_is_recognised(target: bytes, rendition: str | None, path: str | None) -> None:
    request = read_head(head(line=b"GET " + target + b" HTTP/1.1\r\n"))
    assert request is not None
    assert (request.playback_id, request.rendition, request.path) == ("keynote-2026", rendition, path)


def test_values_lose_the_space_around_them_and_names_their_case() -> None:
    request = read_head(head(b'IF-none-MATCH: \t"a" ', b"accept-encoding:gzip", b"Connection:  Keep-Alive "))
    assert request is not None
    assert (request.if_none_match, request.accept_encoding) == ('"a"', "gzip")


MALFORMED = {
    "a bare CR that hides a length": head(b"X: a\rContent-Length: 40"),
    "a bare LF that hides a second request": LINE + HOST + b"\nGET /secret HTTP/1.1\r\nHost: b\r\n\r\n",
    "a bare LF": head(b"X: a\nY: b"),
    "NUL": head(b"X: \0a"),
    "DEL": head(b"X: \x7f"),
    "no colon": head(b"garbage"),
    "space before the colon": head(b"X : a"),
    "no name": head(b": a"),
    "a continued line": head(b"X: a", b" b"),
    "no Host": head(b"X: a", host=b""),
    "two Hosts": head(b"Host: b"),
    "two User-Agents": head(b"User-Agent: a", b"user-agent: b"),
    "no field at all": LINE + b"\r\n",
    "an empty line before it": b"\r\n" + head(),
    "65 fields": head(*[b"X: a"] * 64),
    "something behind it": head() + b"G",
    "no end": head()[:-2],
    "an absolute URI": head(line=b"GET http://a/keynote-2026.m3u8 HTTP/1.1\r\n"),
    "an encoded dot": head(line=b"GET /keynote-2026/%2e%2e/1/video/0.m4s HTTP/1.1\r\n"),
    "another version": head(line=b"GET /keynote-2026.m3u8 HTTP/1.0\r\n"),
    "another method": head(line=b"HEAD /keynote-2026.m3u8 HTTP/1.1\r\n"),
}

OTHER_WISHES = [
    b"Range: bytes=0-1",
    b"If-Range: a",
    b"Content-Length: 0",
    b"content-length:0",
    b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"Upgrade: h2c",
    b"TE: trailers",
    b"Trailer: a",
    b"Connection: close",
    b"Connection: keep-alive, upgrade",
]


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_nothing_malformed_is_recognised(data: bytes) -> None:
    assert read_head(data) is None


@pytest.mark.parametrize("field", OTHER_WISHES)
def test_nothing_that_wants_more_is_recognised(field: bytes) -> None:
    assert read_head(head(field)) is None


def test_64_fields_and_8190_bytes_are_the_most() -> None:
    assert read_head(head(*[b"X: a"] * 63)) is not None
    longest = head(b"X: " + b"a" * (MAX_BYTES - len(head()) - 5))
    assert len(longest) == MAX_BYTES
    assert read_head(longest) is not None
    assert read_head(longest.replace(b"aa", b"aaa", 1)) is None


@pytest.mark.parametrize("field", [b"If-None-Match", b"Accept-Encoding"])
def test_a_field_of_spaces_is_not_even_looked_at_past_the_limit(field: bytes) -> None:
    """Where patterns backtrack over the spaces, 30 000 of them stop the event loop for seconds."""
    assert read_head(head(field + b":" + b" " * 30_000 + b"\nX: y")) is None
    assert read_head(head(field + b":" + b" " * 8_000 + b"\nX: y")) is None


@pytest.mark.parametrize(
    ("data", "worth"),
    [
        (b"G", True),
        (b"GET /key", True),
        (b"OPTIONS ", True),
        (b"\x16\x03\x01", False),
        (b"\r\n", False),
        (b"ge", False),
    ],
)
def test_only_what_begins_like_a_request_is_waited_for(data: bytes, worth: bool) -> None:
    assert may_become_a_head(data) is worth


@given(st.lists(st.sampled_from([b"\r\n\r\n", b"\r", b"\n", b"GET", b"x" * 7]), max_size=20), st.data())
def test_bytes_without_an_end_are_counted_alike_in_whatever_pieces_they_come(
    parts: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    unended = Unended()
    for start, stop in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        unended.feed(whole[start:stop])
    end = whole.rfind(b"\r\n\r\n")
    assert unended.count == (len(whole) if end < 0 else len(whole) - end - 4)
