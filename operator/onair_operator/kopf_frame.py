"""Kopf as the operator's frame: it logs in, watches the primary kinds, and what it hears of them triggers work.

It writes nothing: no annotations, finalizers, events, peering objects (docs/decisions/017). What a reconcile reads
comes from `observe`: Kopf does not tell what was deleted while the API server was away.

It has a thread and an event loop of its own. It takes signals to itself, and when it ends it cancels whatever tasks its
loop has; in a loop that it shares these are reconciles and the followers of pods.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import threading
from random import random
from typing import Any

import aiohttp
import kopf
import structlog
import uvloop

from onair_core.backoff import Backoff
from onair_core.kube.login import Login, Source
from onair_core.kube.resources import ASSETS, LIVE_STREAM_CLASSES, LIVE_STREAMS, Resource
from onair_operator.observe.cache import Cache
from onair_operator.observe.world import Scope, World

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
LEAVING_SECONDS = 1.0
AGAIN = Backoff(1.0, 60.0)

log = structlog.get_logger(__name__)


async def run_kopf(source: Source, scope: Scope, world: World, leave: asyncio.Event) -> None:
    """Runs until `leave` is set.

    Kopf gives up when a kind is refused to it or is not there for a moment. The caches go on, and so does everything
    else; it begins anew.
    """
    # It says INFO of each event, and that it does without signals.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    failures = 0
    while not leave.is_set():
        began, frame = asyncio.get_running_loop().time(), _Frame(source, scope, world)
        leaving = asyncio.create_task(leave.wait())
        try:
            await asyncio.wait([frame.ended, leaving], return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            await frame.leave()
        if not leave.is_set():
            lasted = asyncio.get_running_loop().time() - began
            failures = 1 if lasted > AGAIN.longest else failures + 1
            log.warning("Kopf has given up and begins anew", error=str(frame.error or "it has ended"))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(leave.wait(), AGAIN.delay(failures, random()))  # noqa: S311 - spreads load


class _Frame:
    """One run of Kopf. `ended` is done when it is over; `error` says why, unless it was asked to `leave`."""

    def __init__(self, source: Source, scope: Scope, world: World) -> None:
        self.error: BaseException | None = None
        self.ended = asyncio.get_running_loop().create_future()
        self._ours = asyncio.get_running_loop()
        self._theirs: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()  # belongs to its loop as soon as that waits for it
        self._registry = _registry(source, world, self._ours)
        self._scope = scope
        # A daemon: the process does not wait for it.
        threading.Thread(target=self._run, name="kopf", daemon=True).start()

    async def leave(self) -> None:
        """Asks it to end, and waits a moment for that."""
        if self._theirs is None:
            self._stop.set()
        else:
            with contextlib.suppress(RuntimeError):  # its loop is closed already
                self._theirs.call_soon_threadsafe(self._stop.set)
        await asyncio.wait([self.ended], timeout=LEAVING_SECONDS)

    def _run(self) -> None:
        try:
            uvloop.run(self._operate())
        except BaseException as error:
            self.error = error
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            self._ours.call_soon_threadsafe(self._over)

    def _over(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    async def _operate(self) -> None:
        self._theirs = asyncio.get_running_loop()
        await kopf.operator(
            registry=self._registry,
            settings=_settings(),
            standalone=True,
            # Without it Kopf asks who the user is, and in a container there is no such user.
            identity="onair-operator",  # type: ignore[arg-type]  # its type is not public
            clusterwide=not self._scope.namespaces,
            namespaces=self._scope.namespaces,
            stop_flag=self._stop,
        )


def _registry(source: Source, world: World, ours: asyncio.AbstractEventLoop) -> kopf.OperatorRegistry:
    """Its handlers run in Kopf's loop; everything else is in `ours`."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return _session(await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(source.login(), ours)))

    for resource, cache in (
        (LIVE_STREAMS, world.streams),
        (LIVE_STREAM_CLASSES, world.classes),
        (ASSETS, world.assets),
    ):
        _trigger(registry, resource, cache, ours)
    return registry


def _trigger(
    registry: kopf.OperatorRegistry, resource: Resource, cache: Cache, ours: asyncio.AbstractEventLoop
) -> None:
    @kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)
    async def hear(event: kopf.RawEvent, **_: Any) -> None:
        # A deletion comes from the cache's own watch alone: it has to be right about what there is.
        if event["type"] in (None, "ADDED", "MODIFIED"):
            ours.call_soon_threadsafe(cache.hear, dict(event["object"]))


def _session(found: Login) -> kopf.AiohttpSession:
    """Kopf's requests log in as ours do."""
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
    settings.process.ultimate_exiting_timeout = None  # it would kill the process
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    return settings


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
