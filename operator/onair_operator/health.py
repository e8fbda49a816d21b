"""`/healthz`, `/readyz` and `/metrics` of the operator, on a port without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client import REGISTRY, generate_latest

from onair_operator.observe.world import World
from onair_operator.queue import WorkQueue

# The API server sends a bookmark each minute; a watch that hears nothing for longer is cut after 90 s.
SILENT_SECONDS = 300.0

Check = Callable[[], Iterator[str]]


class Health:
    """What may be wrong. `watch_over` as soon as there is something to watch; a standby has nothing and is well."""

    def __init__(self) -> None:
        self._checks: list[Check] = []
        self.is_ready: Callable[[], bool] = lambda: False
        """Whether it leads, or could if it came to that: a roll-out goes on only then."""

    def watch_over(self, world: World, queues: list[WorkQueue[Any]]) -> None:
        """Queues that do not get on, and watches that neither hear nor say why."""
        self._checks = [lambda: _stuck(queues), lambda: _silent(world)]

    def problems(self) -> list[str]:
        return [problem for check in self._checks for problem in check()]


def _stuck(queues: list[WorkQueue[Any]]) -> Iterator[str]:
    return (problem for queue in queues if (problem := queue.is_stuck()) is not None)


def _silent(world: World) -> Iterator[str]:
    for cache in world.caches:
        for namespace, reflector in cache.reflectors.items():
            # An API server that is away is no reason to end a process that waits for it.
            if reflector.trouble is None and SILENT_SECONDS < reflector.silent_for() < float("inf"):
                where = f" in {namespace}" if namespace else ""
                yield f"nothing was heard of {cache.resource}{where} for {reflector.silent_for():.0f} s"


@asynccontextmanager
async def serving(health: Health, host: str, port: int) -> Any:
    """Raises `OSError` when it cannot listen."""
    app = web.Application()

    async def healthz(_: web.Request) -> web.Response:
        problems = health.problems()
        return web.Response(status=500 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")

    async def readyz(_: web.Request) -> web.Response:
        if health.is_ready():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the API server has not told who holds the Lease\n")

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), content_type="text/plain", charset="utf-8")

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
