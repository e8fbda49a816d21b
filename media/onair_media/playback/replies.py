"""Responses to playback requests, written down whole. Pure: `response` adds the date and sends them.

They are bytes from the start because a playlist is asked for tens of thousands of times a second, and building
header objects would be most of the work.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus

from onair_media.hls import Playlist
from onair_media.playback.playable import Media, MediaSource
from onair_media.playback.requests import (
    ByteRange,
    Refusal,
    Unsatisfiable,
    accepts_gzip,
    byte_range,
    none_match,
)

IDLE_RETRY_SECONDS = 2

_EXPOSED = "Accept-Ranges, Age, Content-Length, Content-Range, Date, ETag, Retry-After"

_COMMON = (
    "Access-Control-Allow-Origin: *\r\n"
    f"Access-Control-Expose-Headers: {_EXPOSED}\r\n"
    "Cross-Origin-Resource-Policy: cross-origin\r\n"
    "Timing-Allow-Origin: *\r\n"
    "X-Content-Type-Options: nosniff\r\n"
)

_PLAYLIST = f"Content-Type: application/vnd.apple.mpegurl\r\nVary: Accept-Encoding\r\n{_COMMON}"

_SEGMENT_COMMON = f"Accept-Ranges: bytes\r\nCache-Control: public, max-age=31536000, immutable\r\n{_COMMON}"

_REASONS = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

_MAY_BE_CACHED = {404: "public, max-age=1", 412: "public, max-age=1"}
"""A second is enough for a cache to keep a crowd of waiting viewers off the origin, and goes unnoticed."""

_ERROR_TYPES = {
    400: "invalid_parameters",
    403: "forbidden",
    404: "not_found",
    412: "not_playable",
    431: "head_too_large",
    503: "unavailable",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: status, head (status line and fields, each with CRLF, without Date and Connection) and body.

    With `source` the body is that source's bytes `start` up to `stop`.
    """

    status: int
    head: str
    body: bytes | memoryview = b""
    source: MediaSource | None = None
    start: int = 0
    stop: int = 0

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if self.source is None else self.stop - self.start


def playlist_reply(playlist: Playlist, *, accept_encoding: str = "", if_none_match: str = "") -> Reply:
    """200 with the playlist, gzipped where welcome, or 304. Each coding has its own strong ETag."""
    etag, coding, body = playlist.etag, "", playlist.text
    if accept_encoding and accepts_gzip(accept_encoding):
        etag, coding, body = f'{etag[:-1]}-gzip"', "Content-Encoding: gzip\r\n", playlist.gzipped
    fields = f"ETag: {etag}\r\nCache-Control: public, max-age={playlist.max_age}\r\n{_PLAYLIST}"
    if if_none_match and none_match(if_none_match, etag):
        return Reply(304, f"{_REASONS[304]}{fields}")
    return Reply(200, f"{_REASONS[200]}{fields}{coding}Content-Length: {len(body)}\r\n", body)


def media_reply(
    media: Media, path: str, *, if_none_match: str = "", range_header: str = "", if_range: str = ""
) -> Reply:
    """200, 206, 304 or 416 with a segment.

    Its address never means anything else, so the path is the ETag and caches may keep it as long as they like.
    """
    etag = f'"{path}"'
    kind = "audio/mp4" if "/audio" in path else "video/mp4"
    fields = f"ETag: {etag}\r\nContent-Type: {kind}\r\n{_SEGMENT_COMMON}"
    if if_none_match and none_match(if_none_match, etag):
        return Reply(304, f"{_REASONS[304]}{fields}")
    try:
        part = byte_range(range_header, if_range, media.size, etag) if range_header else None
    except Unsatisfiable:
        return Reply(
            416,
            f"{_REASONS[416]}Content-Range: bytes */{media.size}\r\nCache-Control: no-store\r\n{_COMMON}"
            "Content-Length: 0\r\n",
        )
    if part is None:
        return _media_body(200, fields, media, ByteRange(0, media.size))
    fields += f"Content-Range: bytes {part.start}-{part.stop - 1}/{media.size}\r\n"
    return _media_body(206, fields, media, part)


def _media_body(status: int, fields: str, media: Media, part: ByteRange) -> Reply:
    head = f"{_REASONS[status]}{fields}Content-Length: {part.stop - part.start}\r\n"
    content = media.content
    if not isinstance(content, bytes):
        return Reply(status, head, source=content, start=part.start, stop=part.stop)
    whole = part.stop - part.start == media.size
    return Reply(status, head, content if whole else memoryview(content)[part.start : part.stop])


def error_reply(status: int, message: str, *, retry_after: int | None = None) -> Reply:
    """An error in Mux's form, `{"error": {"type": …, "messages": […]}}`."""
    error = {"type": _ERROR_TYPES.get(status, "error"), "messages": [message]}
    body = json.dumps({"error": error}).encode()
    cache = _MAY_BE_CACHED.get(status, "no-store")
    retry = f"Retry-After: {retry_after}\r\n" if retry_after is not None else ""
    return Reply(
        status,
        f"{_REASONS[status]}Content-Type: application/json\r\nCache-Control: {cache}\r\n{retry}{_COMMON}"
        f"Content-Length: {len(body)}\r\n",
        body,
    )


def refusal_reply(refusal: Refusal) -> Reply:
    return error_reply(refusal.status, refusal.message)


NOT_PLAYABLE = error_reply(
    412, "The stream is not playable now; it may start at any time.", retry_after=IDLE_RETRY_SECONDS
)
UNKNOWN_ID = error_reply(404, "There is no such playback ID.")
MALFORMED_ID = error_reply(400, "That is not a playback ID.")
NO_SUCH_RENDITION = error_reply(404, "The stream has no such rendition.")
NO_SUCH_MEDIA = error_reply(404, "There is no such segment, or not any more.")
STORE_FAILS = error_reply(503, "The recording cannot be read now.", retry_after=IDLE_RETRY_SECONDS)
NO_ROOM = error_reply(503, "There are too many connections.", retry_after=IDLE_RETRY_SECONDS)
HEAD_TOO_LARGE = error_reply(431, "The request has too many bytes before its end.")

PREFLIGHT = Reply(
    204,
    f"{_REASONS[204]}Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"
    "Access-Control-Allow-Headers: Accept, Accept-Encoding, Cache-Control, Content-Type, If-None-Match, If-Range,"
    " Pragma, Range, X-Requested-With\r\n"
    f"Access-Control-Max-Age: 86400\r\nAllow: GET, HEAD, OPTIONS\r\n{_COMMON}",
)
