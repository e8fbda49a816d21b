"""An API server that does what a test tells it: pages, watches that end badly, refusals; and counts what it was asked.

Each list and each watch takes the next answer of its script; past the end, lists are empty and watches stay silent.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from onair_core.kube.login import Login

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Step = dict[str, Any] | str


def pod(name: str, version: int, **more: Any) -> dict[str, Any]:
    metadata = {"namespace": "events", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, **more}


def event(kind: str, found: dict[str, Any]) -> Step:
    return {"type": kind, "object": found}


def bookmark(version: int) -> Step:
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


def page(version: int, *objects: dict[str, Any], following: str = "") -> Answer:
    """One part of a list; `following` is the token of the next."""

    async def answer(request: web.Request) -> web.StreamResponse:
        metadata = {"resourceVersion": str(version), "continue": following}
        return web.json_response({"metadata": metadata, "items": list(objects)})

    return answer


def refusal(code: int, reason: str = "", retry_after: str | None = None) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.json_response({"kind": "Status", "reason": reason, "code": code}, status=code, headers=headers)

    return answer


GONE: Step = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
CUT = "cut"  # the connection, in the middle of a line
SILENT = "silent"  # open, and nothing comes
OVER = web.AppKey("over", asyncio.Event)  # the test is: nobody stays silent any longer


def stream(*steps: Step) -> Answer:
    """A watch; without CUT or SILENT it ends in order."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for step in steps:
            if step == SILENT:
                await request.app[OVER].wait()
            if step == CUT:
                await response.write(b'{"type": "ADDED", "object": {"meta')
                assert request.transport
                request.transport.abort()
                return response
            line = json.dumps(step).encode() + b"\n"
            await response.write(line[:7])  # a line may come in pieces
            await response.write(line[7:])
        return response

    return answer


class ApiServer:
    def __init__(self) -> None:
        self.lists: deque[Answer] = deque()
        self.watches: deque[Answer] = deque()
        self.others: deque[Answer] = deque()
        self.requests: list[web.Request] = []
        self.bodies: list[Any] = []
        self.token = "good"
        self.logins = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return await refusal(401, "Unauthorized")(request)
        if request.method != "GET":
            self.bodies.append(json.loads(await request.read()))
        if "watch" in request.query:
            return await (self.watches.popleft() if self.watches else stream(SILENT))(request)
        if request.path.endswith("/pods"):
            return await (self.lists.popleft() if self.lists else page(1))(request)
        return await (self.others.popleft() if self.others else refusal(404, "NotFound"))(request)

    def asked(self, what: str) -> list[str | None]:
        """That query parameter, of every watch and of every list (the ones that had it)."""
        return [request.query[what] for request in self.requests if what in request.query]

    async def login(self) -> Login:
        """As a client's source: the token of the moment."""
        self.logins += 1
        return Login(server=self.url, authorization=f"Bearer {self.token}")


@asynccontextmanager
async def serving() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    app = web.Application()
    app[OVER] = asyncio.Event()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        app[OVER].set()
        await runner.cleanup()
