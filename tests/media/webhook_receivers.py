"""Real receivers on loopback, and a clock that tests turn by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from onair_core.contract import EventType
from onair_operator.eventlog import EventLogStore, Subject, append_own, update
from onair_operator.webhooks import Endpoint, snapshot
from onair_operator.webhooks.settings import Clock as AnyClock
from onair_operator.webhooks.signature import verify

Answer = Callable[[dict[str, Any]], Awaitable[web.Response]]


class Receiver:
    """An HTTP server that checks signatures, keeps what it accepted, and may be told to fail.

    `answer` decides on each webhook; `accepted` holds those it answered with 2xx, `seen` all of them.
    """

    def __init__(self, secret: bytes = b"receiver-secret") -> None:
        self.secret = secret
        self.seen: list[dict[str, Any]] = []
        self.accepted: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.answer: Answer = ok
        self.running = self.most_running = 0
        self.url = ""
        self._arrived = asyncio.Event()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/hook", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook?token=hush"

    async def stop(self) -> None:
        await self._runner.cleanup()

    def endpoint(self, uid: str = "hook", **settings: Any) -> Endpoint:
        fields: dict[str, Any] = {
            "namespace": "events",
            "name": uid,
            "url": self.url,
            "secrets": (self.secret,),
            "created_at": 0.0,
        }
        fields |= settings
        return Endpoint(uid=uid, **{"revision": str(fields), **fields})

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        signature = request.headers["Mux-Signature"]
        assert request.headers["OnAir-Signature"] == signature
        problem = verify(body, signature, [self.secret], 0)
        if problem:
            self.problems.append(problem)
        webhook = await request.json()
        self.seen.append(webhook)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            response = await self.answer(webhook)
        finally:
            self.running -= 1
        if response.status < 300:
            self.accepted.append(webhook)
            self._arrived.set()
        return response

    async def accepts(self, count: int) -> None:
        """Returns when this many webhooks were answered with 2xx."""
        while len(self.accepted) < count:
            self._arrived.clear()
            await self._arrived.wait()

    def sequences(self, stream: str = "keynote") -> list[int]:
        """The numbers of the accepted events of this stream, in order of arrival."""
        return [w["data"]["onair"]["sequence"] for w in self.accepted if w["data"]["onair"]["name"] == stream]


async def ok(_: dict[str, Any]) -> web.Response:
    return web.Response(status=204)


async def broken(_: dict[str, Any]) -> web.Response:
    return web.Response(status=500, text="out of order")


class Clock:
    """Time stands still until a test advances it."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.time + seconds, future))
        await future

    def advance(self, seconds: float) -> None:
        self.time += seconds
        for at, future in self._sleepers:
            if at <= self.time and not future.done():
                future.set_result(None)
        self._sleepers = [(at, future) for at, future in self._sleepers if not future.done()]


def subject(name: str = "keynote", **labels: str) -> Subject:
    return Subject("LiveStream", "events", name, f"uid-of-{name}", labels)


async def say(
    store: EventLogStore,
    clock: AnyClock,
    *keys: str,
    name: str = "keynote",
    event_type: EventType = EventType.STREAM_UPDATED,
    **labels: str,
) -> str:
    """Adds an event for each key to the log of a stream; gives its UID."""
    who = subject(name, **labels)
    stream = {"metadata": {"uid": who.uid, "name": name}, "spec": {}, "status": {}}
    for key in keys:
        await update(
            store,
            who,
            lambda log, key=key: append_own(  # type: ignore[misc]
                log, event_type, key, snapshot(event_type, stream=stream), at=clock.now()
            ),
            clock=clock.now,
        )
    return who.uid
