"""`onair operator` as a process: it waits for the Lease, then leads until it is stopped or has lost it.

Whoever leads reads everything first and then works; at the end nothing is begun any more, what runs is waited for, and
the Lease is given back last, so that the next leader never works beside this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import REGISTRY

from onair_core.contract import StreamRef
from onair_core.kube.client import Client
from onair_core.kube.config import find
from onair_core.kube.errors import KubeError
from onair_core.kube.login import Source
from onair_core.kube.store import Key
from onair_core.open_files import allow_open_files
from onair_operator.apply.writer import Writer
from onair_operator.conversation import Conversation
from onair_operator.desired.provision import Installation
from onair_operator.health import Health, serving
from onair_operator.kopf_frame import run_kopf
from onair_operator.lease import Election, LeaseLost
from onair_operator.metrics import LEADING, StreamsCollector, observe
from onair_operator.observe.secrets import SecretReader
from onair_operator.observe.world import Scope, Wake, World
from onair_operator.pods.followers import Followers
from onair_operator.queue import WorkQueue
from onair_operator.reconcile import StreamReconciler
from onair_operator.reconcile_asset import AssetReconciler
from onair_operator.reconcile_class import ClassReconciler
from onair_operator.rollout import Rollout
from onair_operator.root_secret import root_secret

log = structlog.get_logger(__name__)

# What runs when a stop is asked for may take so long; a pod has 30 s.
GRACE_SECONDS = 15.0


class StartError(Exception):
    """It cannot start; the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `namespace` None: that of the pod or of the kubeconfig's context."""

    image: str
    http: tuple[str, int]
    namespace: str | None = None
    watch_namespaces: tuple[str, ...] = ()
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    lease: str = "onair-operator"
    root_secret: str = "onair-root"  # noqa: S105 - the name of a Secret
    workers: int = 20
    class_status: bool = True
    kubeconfig: Path | None = None
    context: str | None = None


async def serve(options: Options) -> None:
    """Runs until SIGINT or SIGTERM. Raises `StartError`, `LeaseLost`, `KubeError`."""
    allow_open_files()  # a connection to each pod
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    health = Health()
    try:
        source = find(options.kubeconfig, options.context)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(_listening(health, *options.http))
            client = await stack.enter_async_context(Client(source, agent="onair-operator", observe=observe))
            scope = Scope(options.namespace or await client.namespace(), options.watch_namespaces)
            await _wait_and_lead(options, source, client, scope, health, stop)
    except KubeError as error:
        raise StartError(str(error)) from error


@contextlib.asynccontextmanager
async def _listening(health: Health, host: str, port: int) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving(health, host, port))
        except OSError as error:
            raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        yield


async def _wait_and_lead(
    options: Options, source: Source, client: Client, scope: Scope, health: Health, stop: asyncio.Event
) -> None:
    identity = f"{socket.gethostname()}-{secrets.token_hex(4)}"
    election = Election(client, scope.installation, options.lease, identity)
    health.is_ready = election.heard.is_set
    elected = asyncio.create_task(election.run(), name="election")
    try:
        log.info("waiting to lead", lease=f"{scope.installation}/{options.lease}", identity=identity)
        if not await _first(election.leading.wait(), stop.wait(), ends=elected):
            return
        if stop.is_set():
            return
        log.info("leading", identity=identity)
        with LEADING.track_inprogress():
            await _lead(options, source, scope, election, elected, health, stop)
    finally:
        elected.cancel()
        with contextlib.suppress(asyncio.CancelledError, LeaseLost):
            await elected


async def _lead(
    options: Options,
    source: Source,
    scope: Scope,
    election: Election,
    elected: asyncio.Task[None],
    health: Health,
    stop: asyncio.Event,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            Client(
                source,
                agent="onair-operator",
                may_write_until=lambda: election.may_write_until,
                observe=observe,
            )
        )
        root = asyncio.create_task(root_secret(client, scope, options.root_secret))
        try:
            await _first(asyncio.wait([root]), stop.wait(), ends=elected)
        finally:
            root.cancel()
        if not root.done():
            return
        leader = Leader(options, client, scope, root.result())
        await stack.enter_async_context(leader.followers)
        await _first(leader.run(source, health, stop), ends=elected)
        log.info("stopped leading")


class Leader:
    """Everything that works while this replica leads, wired together."""

    def __init__(self, options: Options, client: Client, scope: Scope, root: bytes) -> None:
        self._scope = scope
        self.streams = WorkQueue[Key](self._stream, name="livestreams", workers=options.workers)
        self.classes = WorkQueue[Key](self._class, name="livestreamclasses", workers=1)
        self.assets = WorkQueue[Key](self._asset, name="assets", workers=2)
        self.world = World(client, scope, root, Wake(self.streams.add, self.classes.add, self.assets.add))
        self.followers = Followers(self._news)
        writer, contents = Writer(client, self.world.cache_of), SecretReader(client, self.world.secrets)
        for cache in self.world.caches:
            cache.on_change(writer.forget, own=True)
        self._streams = StreamReconciler(
            self.world,
            writer,
            Conversation(self.followers),
            contents,
            Rollout(self.streams.add),
            root=root,
            installation=Installation(scope.installation, options.pod_labels, options.image),
        )
        self._assets = AssetReconciler(self.world, writer)
        self._classes = None
        if options.class_status:
            self._classes = ClassReconciler(self.world, writer, contents, installation=scope.installation)

    async def run(self, source: Source, health: Health, stop: asyncio.Event) -> None:
        """Until `stop` is set."""
        queues: list[WorkQueue[Any]] = [self.streams, self.classes, self.assets]
        # Nothing is worked on before everything is known: what is not known would be taken for absent.
        async with self.world.following():
            log.info("everything is known", streams=len(self.world.streams), pods=len(self.world.pods))
            health.watch_over(self.world, queues)
            with _counted(self.world):
                await self._work(queues, source, stop)

    async def _work(self, queues: list[WorkQueue[Any]], source: Source, stop: asyncio.Event) -> None:
        leave = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(queue.run(), name="work") for queue in queues]
            group.create_task(run_kopf(source, self._scope, self.world, leave), name="kopf")
            await stop.wait()
            log.info("stopping")
            await asyncio.gather(*(queue.stop(GRACE_SECONDS) for queue in queues))
            for task in working:
                task.cancel()
            await self.followers.aclose()
            leave.set()

    async def _stream(self, key: Key) -> float | None:
        return await self._streams.reconcile(key)

    async def _class(self, key: Key) -> float | None:
        return None if self._classes is None else await self._classes.reconcile(key)

    async def _asset(self, key: Key) -> float | None:
        return await self._assets.reconcile(key)

    def _news(self, stream: StreamRef) -> None:
        self.streams.add(Key(stream.namespace, stream.name))


@contextlib.contextmanager
def _counted(world: World) -> Iterator[None]:
    collector = StreamsCollector(world.streams)
    REGISTRY.register(collector)
    try:
        yield
    finally:
        REGISTRY.unregister(collector)


async def _first(*waiting: Awaitable[Any], ends: asyncio.Task[None]) -> bool:
    """Until one of these is done. Raises what `ends` raises when that ends first, and what the done one raises."""
    tasks = [asyncio.ensure_future(each) for each in waiting]
    try:
        done, _ = await asyncio.wait([*tasks, ends], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return ends not in done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
