"""The control port's HTTP face (`onair_core.contract.control`): who may, what is asked, what is answered."""

from __future__ import annotations

import hmac

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from onair_core.contract import Cursor, PodConfig
from onair_core.contract.control import (
    COMPLETE_PATH,
    CONFIG_HEADER,
    CONFIG_PATH,
    DRAIN_PATH,
    EVENTS_PATH,
    SIGN_OF_LIFE_SECONDS,
)
from onair_media.pod.channel import OtherStreamError, PodChannel

log = structlog.get_logger(__name__)

MAX_CONFIG_BYTES = 1024 * 1024


def control_application(pod: PodChannel, token: str) -> web.Application:
    """Answers whoever has the token. Errors are plain text for people."""
    app = web.Application(middlewares=[_only_with(token)], client_max_size=MAX_CONFIG_BYTES)

    async def put_config(request: web.Request) -> web.Response:
        try:
            config = msgspec.json.decode(await request.read(), type=PodConfig)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise web.HTTPUnprocessableEntity(text=f"not a configuration: {error}\n") from None
        try:
            return _json(await pod.configure(config))
        except OtherStreamError as error:
            raise web.HTTPConflict(text=f"{error}\n") from None

    async def get_events(request: web.Request) -> web.StreamResponse:
        try:
            after = Cursor.parse(request.query.get("after", str(Cursor())))
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"after: {error}\n") from None
        headers = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
        if pod.applied is not None:
            headers[CONFIG_HEADER] = pod.applied.hash
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(b"\n")
        async for events in pod.events(after, SIGN_OF_LIFE_SECONDS):
            await response.write(b"".join(msgspec.json.encode(event) + b"\n" for event in events) or b"\n")
        return response

    async def complete(request: web.Request) -> web.Response:
        if not pod.complete(request.match_info["id"]):
            raise web.HTTPNotFound(text="this broadcast is not open\n")
        return web.Response(status=204)

    async def drain(_: web.Request) -> web.Response:
        return _json(await pod.drain())

    app.router.add_put(CONFIG_PATH, put_config)
    app.router.add_get(EVENTS_PATH, get_events)
    app.router.add_post(COMPLETE_PATH, complete)
    app.router.add_post(DRAIN_PATH, drain)
    return app


def _only_with(token: str) -> Middleware:
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(given, expected):
            raise web.HTTPUnauthorized(text="a bearer token is needed\n", headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return check


def _json(value: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
