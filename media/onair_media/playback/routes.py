"""Where everything is."""

from __future__ import annotations

from aiohttp import web

from onair_media.playback.handlers import PlaybackHandlers
from onair_media.playback.metrics import PlaybackMetrics
from onair_media.playback.page import PageHandlers
from onair_media.playback.playable import Directory
from onair_media.player import assets


def add_routes(app: web.Application, directory: Directory, metrics: PlaybackMetrics | None = None) -> None:
    """Serve everything in `directory` from `app`: playlists, segments, the watch page, `/` and `/healthz`."""
    metrics = metrics or PlaybackMetrics()
    playback = PlaybackHandlers(directory, metrics)
    page = PageHandlers(directory, assets.load(), metrics)
    app.router.add_get("/", page.index)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/watch/assets/{path:.+}", page.asset)
    app.router.add_get("/watch/{playback_id}", page.page)
    for path, handler in (
        ("/{playback_id}.m3u8", playback.multivariant),
        ("/{playback_id}/{rendition}.m3u8", playback.media_playlist),
        ("/{playback_id}/{path:.+}", playback.segment),
    ):
        resource = app.router.add_resource(path)
        resource.add_route("GET", handler)
        resource.add_route("HEAD", handler)
        resource.add_route("OPTIONS", playback.preflight)


async def healthz(_request: web.Request) -> web.Response:
    """The process answers."""
    return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})
