"""The playback routes' decisions: which playable, which reply.

| status | when |
|---|---|
| 200, 206, 304 | playable |
| 400 | the ID is malformed, or a parameter is invalid or would have to cut the stream |
| 403 | a token on a public playback ID |
| 404 | unknown ID, rendition or segment |
| 412 | known and not playable now; `Retry-After` says when to ask again |
| 503 | the store fails; `Retry-After` as well |
"""

from __future__ import annotations

import structlog
from aiohttp import web

from onair_core.playback.paths import is_playback_id, parse_media_path
from onair_media.playback import replies
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.playable import Directory, Playable
from onair_media.playback.replies import Reply, media_reply, playlist_reply, refusal_reply
from onair_media.playback.requests import check_query
from onair_media.playback.response import ReplyResponse, SourceBody
from onair_media.store import StoreError

log = structlog.get_logger(__name__)


class PlaybackHandlers:
    """One per application."""

    def __init__(self, directory: Directory, metrics: PlaybackMetrics) -> None:
        self._directory = directory
        self._metrics = metrics

    async def multivariant(self, request: web.Request) -> web.StreamResponse:
        """`/{playback id}.m3u8`"""
        found = await self._lookup(request)
        if isinstance(found, Reply):
            return self._answer("multivariant", request, found)
        refusal = check_query(request.query.items()) if request.query_string else None
        if refusal is not None:
            return self._answer("multivariant", request, refusal_reply(refusal))
        return self._answer("multivariant", request, _playlist(request, found, None))

    async def media_playlist(self, request: web.Request) -> web.StreamResponse:
        """`/{playback id}/{rendition}.m3u8`"""
        found = await self._lookup(request)
        if isinstance(found, Reply):
            return self._answer("media", request, found)
        return self._answer("media", request, _playlist(request, found, request.match_info["rendition"]))

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """`/{playback id}/{media path}`"""
        found = await self._lookup(request)
        if isinstance(found, Reply):
            return self._answer("segment", request, found)
        path = request.match_info["path"]
        media = await found.media(path) if parse_media_path(path) is not None else None
        if media is None:
            return self._answer("segment", request, replies.NO_SUCH_MEDIA)
        headers = request.headers
        # A range is defined for GET only (RFC 9110 14.2).
        range_header = headers.get("Range", "") if request.method == "GET" else ""
        reply = media_reply(
            media,
            path,
            if_none_match=headers.get("If-None-Match", ""),
            range_header=range_header,
            if_range=headers.get("If-Range", ""),
        )
        if reply.source is None or request.method != "GET":
            return self._answer("segment", request, reply)
        try:
            body = await SourceBody.begin(reply)
        except StoreError as error:
            log.warning("a segment cannot be read", path=path, problem=str(error))
            return self._answer("segment", request, replies.STORE_FAILS)
        return self._answer("segment", request, reply, body)

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        """CORS: any page may play (Fetch 4.8)."""
        return ReplyResponse(replies.PREFLIGHT)

    async def _lookup(self, request: web.Request) -> Playable | Reply:
        """What is to be played, or why nothing can be."""
        playback_id = request.match_info["playback_id"]
        try:
            return await self._directory.lookup(playback_id) or unknown(playback_id)
        except StoreError:
            return replies.STORE_FAILS

    def _answer(
        self, kind: str, request: web.Request, reply: Reply, body: SourceBody | None = None
    ) -> web.StreamResponse:
        self._metrics.count(kind, reply.status, reply.length if request.method == "GET" else 0)
        return ReplyResponse(reply, body)


def unknown(playback_id: str) -> Reply:
    """404, or 400 for what could not be a playback ID."""
    return replies.UNKNOWN_ID if is_playback_id(playback_id) else replies.MALFORMED_ID


def playlist_or_refusal(
    playable: Playable, playback_id: str, rendition: str | None, *, accept_encoding: str, if_none_match: str
) -> Reply:
    """The playlist asked for (`rendition` None: the multivariant one).

    404 for a rendition it does not have, 412 while it has none at all.
    """
    playlist = playable.multivariant(playback_id) if rendition is None else playable.media_playlist(rendition)
    if playlist is not None:
        return playlist_reply(playlist, accept_encoding=accept_encoding, if_none_match=if_none_match)
    others = rendition is not None and playable.multivariant(playback_id) is not None
    return replies.NO_SUCH_RENDITION if others else replies.NOT_PLAYABLE


def _playlist(request: web.Request, playable: Playable, rendition: str | None) -> Reply:
    headers = request.headers
    return playlist_or_refusal(
        playable,
        request.match_info["playback_id"],
        rendition,
        accept_encoding=headers.get("Accept-Encoding", ""),
        if_none_match=headers.get("If-None-Match", ""),
    )
