"""Conditions, ranges, codings, parameters and the responses to them (RFC 9110; mux.md 1.9)."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onair_media.hls import Playlist
from onair_media.playback import Media
from onair_media.playback.replies import (
    MALFORMED_ID,
    NOT_PLAYABLE,
    PREFLIGHT,
    UNKNOWN_ID,
    Reply,
    error_reply,
    media_reply,
    playlist_reply,
    refusal_reply,
)
from onair_media.playback.requests import (
    ByteRange,
    Unsatisfiable,
    accepts_gzip,
    byte_range,
    check_query,
    none_match,
)

LIVE = Playlist(b"#EXTM3U\n" + b"x" * 500, final=False, max_age=1)
SEGMENT = Media.of(bytes(range(100)))
PATH = "a/1/video/7.m4s"


def fields(reply: Reply) -> dict[str, str]:
    status, *lines = reply.head.removesuffix("\r\n").split("\r\n")
    assert status.startswith(f"HTTP/1.1 {reply.status} ")
    found = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert len(found) == len(lines), "no field stands twice"
    return found


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("deflate, gzip;q=0", False),
        ("*;q=0", False),
        ("gzip;q=0.000, *", False),
        ("identity", False),
        ("", False),
        ("br", False),
    ],
)
def test_gzip_is_sent_only_where_it_is_welcome(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


@pytest.mark.parametrize(
    ("header", "matches"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_if_none_match(header: str, matches: bool) -> None:
    assert none_match(header, '"a"') is matches


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=90-", ByteRange(90, 100)),
        ("bytes=90-1000", ByteRange(90, 100)),
        ("bytes=-10", ByteRange(90, 100)),
        ("bytes=-1000", ByteRange(0, 100)),
        ("bytes=99-99", ByteRange(99, 100)),
        ("BYTES=0-0", ByteRange(0, 1)),
        ("bytes=9-0", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 400 + "-", None),
    ],
)
def test_ranges(header: str, expected: ByteRange | None) -> None:
    assert byte_range(header, "", 100, '"e"') == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_ranges_behind_the_end_are_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        byte_range(header, "", 100, '"e"')


def test_if_range_with_another_etag_sends_everything() -> None:
    assert byte_range("bytes=0-1", '"old"', 100, '"e"') is None
    assert byte_range("bytes=0-1", '"e"', 100, '"e"') == ByteRange(0, 2)
    assert byte_range("bytes=0-1", "Mon, 01 Jan 2024 00:00:00 GMT", 100, '"e"') is None


@given(st.text(max_size=40), st.integers(0, 1000))
def test_no_range_header_can_break_anything(text: str, size: int) -> None:
    try:
        found = byte_range(f"bytes={text}", "", size, '"e"')
    except Unsatisfiable:
        return
    assert found is None or 0 <= found.start < found.stop <= size


@given(st.text(max_size=60))
def test_no_header_can_break_negotiation(text: str) -> None:
    accepts_gzip(text)
    none_match(text, '"e"')


def test_live_playlist() -> None:
    reply = playlist_reply(LIVE)
    head = fields(reply)
    assert (reply.status, reply.body) == (200, LIVE.text)
    assert head["content-type"] == "application/vnd.apple.mpegurl"
    assert head["cache-control"] == "public, max-age=1"
    assert head["vary"] == "Accept-Encoding"
    assert head["access-control-allow-origin"] == "*"
    assert "Retry-After" in head["access-control-expose-headers"]
    assert head["content-length"] == str(len(LIVE.text))
    assert "content-encoding" not in head


def test_gzipped_playlist_has_an_etag_of_its_own() -> None:
    """RFC 9110 8.8.3.3: a strong validator differs between codings."""
    reply = playlist_reply(LIVE, accept_encoding="gzip")
    head = fields(reply)
    assert gzip.decompress(bytes(reply.body)) == LIVE.text
    assert head["content-encoding"] == "gzip"
    assert head["content-length"] == str(len(reply.body))
    assert head["etag"] != LIVE.etag
    again = playlist_reply(LIVE, accept_encoding="gzip", if_none_match=head["etag"])
    assert (again.status, again.body) == (304, b"")
    assert playlist_reply(LIVE, accept_encoding="gzip", if_none_match=LIVE.etag).status == 200


def test_unchanged_playlist_is_304_with_the_fields_a_cache_needs() -> None:
    """RFC 9110 15.4.5."""
    head = fields(playlist_reply(LIVE, if_none_match=LIVE.etag))
    assert {"etag", "cache-control", "vary"} <= set(head)
    assert "content-length" not in head


def test_segments_may_be_kept_for_ever() -> None:
    head = fields(media_reply(SEGMENT, PATH))
    assert head["cache-control"] == "public, max-age=31536000, immutable"
    assert head["content-type"] == "video/mp4"
    assert head["accept-ranges"] == "bytes"
    assert fields(media_reply(SEGMENT, "a/1/audio/init-0.mp4"))["content-type"] == "audio/mp4"
    assert media_reply(SEGMENT, PATH, if_none_match=head["etag"]).status == 304


def test_part_of_a_segment() -> None:
    reply = media_reply(SEGMENT, PATH, range_header="bytes=-10")
    head = fields(reply)
    assert (reply.status, bytes(reply.body)) == (206, bytes(range(90, 100)))
    assert head["content-range"] == "bytes 90-99/100"
    assert head["content-length"] == "10"


def test_a_known_segment_is_304_even_when_a_range_is_asked_for() -> None:
    """RFC 9110 13.2.2: conditions come before ranges."""
    assert media_reply(SEGMENT, PATH, range_header="bytes=200-", if_none_match=f'"{PATH}"').status == 304


def test_range_behind_the_end() -> None:
    reply = media_reply(SEGMENT, PATH, range_header="bytes=100-")
    assert reply.status == 416
    assert fields(reply)["content-range"] == "bytes */100"


def test_media_that_is_not_in_memory() -> None:
    class Stored:
        async def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
            yield bytes(range(start, stop))

    source = Stored()
    reply = media_reply(Media(100, source), PATH, range_header="bytes=10-19")
    assert (reply.source, reply.start, reply.stop, reply.length) == (source, 10, 20, 10)
    assert fields(reply)["content-length"] == "10"


def test_idle_says_when_to_ask_again() -> None:
    head = fields(NOT_PLAYABLE)
    assert NOT_PLAYABLE.status == 412
    assert int(head["retry-after"]) > 0
    assert head["cache-control"] == "public, max-age=1"
    assert json.loads(bytes(NOT_PLAYABLE.body))["error"]["type"] == "not_playable"


def test_errors_have_one_form() -> None:
    for reply in (UNKNOWN_ID, MALFORMED_ID, NOT_PLAYABLE, error_reply(403, "No.")):
        error = json.loads(bytes(reply.body))["error"]
        assert set(error) == {"type", "messages"}
        assert fields(reply)["access-control-allow-origin"] == "*"
        assert fields(reply)["content-length"] == str(len(reply.body))


def test_preflight_allows_ranges() -> None:
    head = fields(PREFLIGHT)
    assert PREFLIGHT.status == 204
    assert "Range" in head["access-control-allow-headers"]
    assert "HEAD" in head["access-control-allow-methods"]


def test_a_token_on_a_public_id_fails_on_purpose() -> None:
    refusal = check_query([("token", "x")])
    assert refusal is not None
    assert refusal_reply(refusal).status == 403


@pytest.mark.parametrize("name", ["program_start_time", "program_end_time", "asset_start_time", "asset_end_time"])
def test_parameters_that_would_hide_a_part_are_not_ignored(name: str) -> None:
    refusal = check_query([(name, "1790000000")])
    assert refusal is not None
    assert refusal.status == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [("redundant_streams", "true"), ("max_resolution", "720p"), ("default_subtitles_lang", "en-GB"), ("utm", "?")],
)
def test_parameters_that_choose_among_one_have_no_effect(name: str, value: str) -> None:
    assert check_query([(name, value)]) is None


@pytest.mark.parametrize(("name", "value"), [("max_resolution", "9000p"), ("low_latency", "perhaps")])
def test_invalid_values_are_refused(name: str, value: str) -> None:
    refusal = check_query([(name, value)])
    assert refusal is not None
    assert refusal.status == 400
    assert name in refusal.message
