"""Kopf as the operator's frame: it logs in, watches the primary kinds, and what it hears of them triggers work.

It writes nothing: no annotations, finalizers, events, peering objects (docs/decisions/017). What a reconcile reads
comes from `observe`: Kopf does not tell what was deleted while the API server was away.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import signal
from typing import Any

import aiohttp
import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from onair_core.kube.login import Source
from onair_core.kube.resources import ASSETS, LIVE_STREAM_CLASSES, LIVE_STREAMS, Resource
from onair_operator.observe.cache import Cache
from onair_operator.observe.world import Scope, World

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
EXIT_SECONDS = 10.0
LEAVING_SECONDS = 1.0
ENDING_SECONDS = 0.2


async def run_kopf(source: Source, scope: Scope, world: World, stop: asyncio.Event, leave: asyncio.Event) -> None:
    """Runs until `leave` is set. `stop` is what signals set; it is set, too, when Kopf ends before that."""
    # It says INFO of each event.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    started, sessions = asyncio.Event(), list[aiohttp.ClientSession]()
    running = asyncio.create_task(
        kopf.operator(
            registry=_registry(source, world, sessions),
            settings=_settings(),
            memories=_NoMemories(),
            standalone=True,
            # Without it Kopf asks who the user is, and in a container there is no such user.
            identity="onair-operator",  # type: ignore[arg-type]  # its type is not public
            clusterwide=not scope.namespaces,
            namespaces=scope.namespaces,
            stop_flag=leave,
            ready_flag=started,
        )
    )
    starting, leaving = asyncio.create_task(started.wait()), asyncio.create_task(leave.wait())
    try:
        await asyncio.wait([running, starting], return_when=asyncio.FIRST_COMPLETED)
        # Kopf takes the signals to itself. What is under way comes first.
        stop_at_signals(stop)
        await asyncio.wait([running, leaving], return_when=asyncio.FIRST_COMPLETED)
        # It waits 5 s for whatever has begun since it has, also for what is none of its business and does not end.
        await asyncio.wait([running], timeout=LEAVING_SECONDS)
        if running.done():
            await running
        stop.set()  # a signal came before it was ours, or it cannot go on
    finally:
        for task in (starting, leaving, running):
            task.cancel()
        # Its watches have to see that they are cancelled before they see that there is nothing to read from.
        await asyncio.wait([running], timeout=ENDING_SECONDS)
        # Kopf closes those that it leaves, and not those that it is made to leave.
        await asyncio.gather(*(session.close() for session in sessions))


def stop_at_signals(stop: asyncio.Event) -> None:
    """SIGINT and SIGTERM set `stop`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


def _registry(source: Source, world: World, sessions: list[aiohttp.ClientSession]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        made = await _session(source)
        sessions[:] = [*(session for session in sessions if not session.closed), made.aiohttp_session]
        return made

    for resource, cache in (
        (LIVE_STREAMS, world.streams),
        (LIVE_STREAM_CLASSES, world.classes),
        (ASSETS, world.assets),
    ):
        _trigger(registry, resource, cache)
    return registry


def _trigger(registry: kopf.OperatorRegistry, resource: Resource, cache: Cache) -> None:
    @kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)
    async def hear(event: kopf.RawEvent, **_: Any) -> None:
        # A deletion comes from the cache's own watch alone: it has to be right about what there is.
        if event["type"] in (None, "ADDED", "MODIFIED"):
            cache.hear(dict(event["object"]))


async def _session(source: Source) -> kopf.AiohttpSession:
    """Kopf's requests log in as ours do."""
    found = await source.login()
    headers = {"Authorization": found.authorization} if found.authorization else {}
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=found.tls or True, limit=0),
        headers=headers,
        trust_env=False,
        proxy=found.proxy,
    )
    until = None
    if found.good_for is not None:
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=found.good_for)
    return kopf.AiohttpSession(
        server=found.server, default_namespace=found.namespace, expiration=until, aiohttp_session=session
    )


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True  # the CRDs are there by now, and no right to list them is needed
    settings.networking.connect_timeout = CONNECT_SECONDS
    settings.networking.request_timeout = REQUEST_SECONDS
    settings.watching.connect_timeout = CONNECT_SECONDS
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 100
    settings.queueing.idle_timeout = 0.1
    settings.process.ultimate_exiting_timeout = EXIT_SECONDS
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    return settings


class _NoMemories(ResourceMemories):
    """What Kopf would keep of each object, for handlers that it tries again, daemons and timers: there are none."""

    async def recall(self, raw_body: Any, **options: Any) -> ResourceMemory:
        return await super().recall(raw_body, **options | {"ephemeral": True})


class _NoDiffs(kopf.DiffBaseStorage):
    """There are no change handlers: nothing is compared, and nothing copied for it."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
