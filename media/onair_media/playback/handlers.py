"""The playback routes' decisions: which playable, which reply.

| status | when |
|---|---|
| 200, 206, 304 | playable |
| 400 | the ID is malformed, or a parameter is invalid or would have to cut the stream |
| 403 | a token on a public playback ID |
| 404 | unknown ID or segment |
| 412 | known and not playable now; `Retry-After` says when to ask again |
"""

from __future__ import annotations

from aiohttp import web

from onair_core.playback.paths import is_playback_id, parse_media_path
from onair_media.hls import Playlist
from onair_media.playback import replies
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.playable import Directory
from onair_media.playback.replies import Reply, media_reply, playlist_reply, refusal_reply
from onair_media.playback.requests import check_query
from onair_media.playback.response import ReplyResponse


class PlaybackHandlers:
    """One per application."""

    def __init__(self, directory: Directory, metrics: PlaybackMetrics) -> None:
        self._directory = directory
        self._metrics = metrics

    async def multivariant(self, request: web.Request) -> web.StreamResponse:
        """`/{playback id}.m3u8`"""
        playback_id = request.match_info["playback_id"]
        playable = await self._directory.lookup(playback_id)
        if playable is None:
            return self._answer("multivariant", request, unknown(playback_id))
        refusal = check_query(request.query.items()) if request.query_string else None
        if refusal is not None:
            return self._answer("multivariant", request, refusal_reply(refusal))
        playlist = playable.multivariant(playback_id)
        if playlist is None:
            return self._answer("multivariant", request, replies.NOT_PLAYABLE)
        return self._answer("multivariant", request, _conditional(request, playlist))

    async def media_playlist(self, request: web.Request) -> web.StreamResponse:
        """`/{playback id}/{rendition}.m3u8`"""
        match = request.match_info
        playable = await self._directory.lookup(match["playback_id"])
        if playable is None:
            return self._answer("media", request, unknown(match["playback_id"]))
        playlist = playable.media_playlist(match["rendition"])
        if playlist is None:
            return self._answer("media", request, replies.NOT_PLAYABLE)
        return self._answer("media", request, _conditional(request, playlist))

    async def segment(self, request: web.Request) -> web.StreamResponse:
        """`/{playback id}/{media path}`"""
        match = request.match_info
        playable = await self._directory.lookup(match["playback_id"])
        if playable is None:
            return self._answer("segment", request, unknown(match["playback_id"]))
        path = match["path"]
        media = await playable.media(path) if parse_media_path(path) is not None else None
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
        return self._answer("segment", request, reply)

    async def preflight(self, request: web.Request) -> web.StreamResponse:
        """CORS: any page may play (Fetch 4.8)."""
        return ReplyResponse(replies.PREFLIGHT)

    def _answer(self, kind: str, request: web.Request, reply: Reply) -> web.StreamResponse:
        self._metrics.count(kind, reply.status, reply.length if request.method == "GET" else 0)
        return ReplyResponse(reply)


def unknown(playback_id: str) -> Reply:
    """404, or 400 for what could not be a playback ID."""
    return replies.UNKNOWN_ID if is_playback_id(playback_id) else replies.MALFORMED_ID


def _conditional(request: web.Request, playlist: Playlist) -> Reply:
    headers = request.headers
    return playlist_reply(
        playlist,
        accept_encoding=headers.get("Accept-Encoding", ""),
        if_none_match=headers.get("If-None-Match", ""),
    )
