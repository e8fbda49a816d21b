"""The pages: `/watch/{playback id}` with its files, and `/`, which says what this is."""

from __future__ import annotations

from aiohttp import web

from onair_core.playback.paths import is_playback_id
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.playable import Directory
from onair_media.playback.requests import accepts_gzip, none_match
from onair_media.player.assets import CONTENT_SECURITY_POLICY, INDEX_SECURITY_POLICY, PlayerAssets

_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}

_IMMUTABLE = "public, max-age=31536000, immutable"
_FRESH = "public, max-age=60"


class PageHandlers:
    """Serves the page for any well-formed playback ID: an unknown one may be configured while it is open."""

    def __init__(self, directory: Directory, assets: PlayerAssets, metrics: PlaybackMetrics) -> None:
        self._directory = directory
        self._assets = assets
        self._metrics = metrics

    async def page(self, request: web.Request) -> web.StreamResponse:
        """200, 404 for an unknown playback ID (the page says so and keeps asking), 400 for a malformed one."""
        playback_id = request.match_info["playback_id"]
        if not is_playback_id(playback_id):
            return self._html(400, self._assets.malformed(), INDEX_SECURITY_POLICY)
        title = self._directory.title(playback_id)
        body = self._assets.page(playback_id, title or "")
        return self._html(200 if title is not None else 404, body, CONTENT_SECURITY_POLICY)

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Names no stream: who is not told a playback ID must not learn of it."""
        metrics = any(resource.canonical == "/metrics" for resource in request.app.router.resources())
        return self._html(200, self._assets.index(metrics=metrics), INDEX_SECURITY_POLICY)

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """`/watch/assets/{version}/{name}` for good, `/watch/assets/{name}` for a minute."""
        version, _, name = request.match_info["path"].rpartition("/")
        asset = self._assets.files.get(name)
        if asset is None:
            return self._count(web.Response(status=404, text="There is no such file.\n"))
        headers = {
            **_COMMON,
            "Content-Type": asset.content_type,
            "ETag": asset.etag,
            "Vary": "Accept-Encoding",
            # A page from before an upgrade asks for a version that is no longer here: never let that be kept.
            "Cache-Control": _IMMUTABLE if version == self._assets.version else _FRESH,
        }
        if none_match(request.headers.get("If-None-Match", ""), asset.etag):
            return self._count(web.Response(status=304, headers=headers))
        body = asset.data
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            body = asset.gzipped
        return self._count(web.Response(body=body, headers=headers))

    def _html(self, status: int, body: bytes, policy: str) -> web.Response:
        response = web.Response(
            status=status,
            body=body,
            content_type="text/html",
            charset="utf-8",
            headers={**_COMMON, "Cache-Control": "no-cache", "Content-Security-Policy": policy},
        )
        response.enable_compression()
        return self._count(response)

    def _count(self, response: web.Response) -> web.Response:
        self._metrics.count("page", response.status, 0)
        return response
