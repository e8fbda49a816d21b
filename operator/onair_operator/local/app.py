"""`onair local` as a process: everything started in order, and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import IO

import structlog
from aiohttp import web
from prometheus_client import REGISTRY, generate_latest

from onair_core.contract import LimitsSpec
from onair_core.local_state import LocalState
from onair_core.manifests import Problem
from onair_media.flv import AUDIO_FOURCCS, VIDEO_FOURCCS
from onair_media.ingest import runtime
from onair_media.ingest.class_limits import http_limits, port_limits
from onair_media.ingest.host import ChannelHost
from onair_media.ingest.metrics import IngestCollector
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.tls import CertificateError, TlsFiles, self_signed
from onair_media.playback import PlaybackMetrics, PlaybackServer, add_routes, limits_of_process, request_logger
from onair_operator.eventlog import FileEventLogs
from onair_operator.local.addresses import Addresses, is_everywhere, reachable
from onair_operator.local.control import Control
from onair_operator.local.patience import insist
from onair_operator.local.requests import waiting
from onair_operator.local.secrets import root_secret
from onair_operator.local.watch import watch
from onair_operator.webhooks import Deliverer, Environment, OutboundPolicy

log = structlog.get_logger(__name__)

# A viewer that reads slowly does not hold up a stop for longer.
HTTP_SHUTDOWN_SECONDS = 3.0
# `onair streams` and its like hold the lock for a moment, to see whether it is free.
LOCK_TRIES = 20
LOCK_PAUSE_SECONDS = 0.05


class StartError(Exception):
    """It cannot start; the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. Addresses are (host, port); port 0 takes a free one."""

    paths: tuple[Path, ...]
    state_dir: Path
    rtmp: tuple[str, int]
    http: tuple[str, int]
    tls: tuple[Path, Path] | None = None
    allow_loopback: bool = False
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()


async def serve(
    options: Options,
    *,
    report: Callable[[list[Problem]], None],
    ready: Callable[[LocalState, Addresses, Control], None],
) -> None:
    """Runs until SIGINT or SIGTERM. Raises `StartError`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    state = LocalState(options.state_dir)
    _refuse_manifests_in_state(options)
    with _locked(state):
        async with _running(options, state, report) as (control, addresses):
            ready(state, addresses, control)
            await _until(stop, _watch(options, state, control), control.run())
            log.info("stopping")


@contextlib.asynccontextmanager
async def _running(
    options: Options, state: LocalState, report: Callable[[list[Problem]], None]
) -> AsyncIterator[tuple[Control, Addresses]]:
    """Sockets first, so that status can name them; then everything is known; then publishers and viewers come in."""
    root = root_secret(state.folder, channels_exist=any(state.objects.glob("*/livestream/*")))
    logs = FileEventLogs(state.event_logs)
    control: Control | None = None
    host = ChannelHost(
        state.folder / "ingest",
        on_journal=lambda ref: control.journal_grew(ref) if control else None,
        on_finished=lambda recording: control.recording_finished(recording) if control else None,
        inits=ThreadPoolExecutor(1, thread_name_prefix="init"),
        credentials=lambda url: control.stores.credentials(url) if control else {},
    )
    host.directory.complete = False
    (state.folder / "ingest").mkdir(parents=True, exist_ok=True)
    try:
        tls = TlsFiles(*options.tls) if options.tls else self_signed(state.folder)
    except CertificateError as error:
        raise StartError(f"RTMPS: {error}") from error
    rtmp = RtmpServer(host, tls, video_fourccs=_names(VIDEO_FOURCCS), audio_fourccs=_names(AUDIO_FOURCCS))
    metrics = PlaybackMetrics()
    collector = IngestCollector(host, rtmp.rejected)
    runner = web.AppRunner(
        _application(host, metrics),
        access_log=None,
        logger=request_logger(),
        shutdown_timeout=HTTP_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    room = limits_of_process()
    http = PlaybackServer(runner, host.directory.at_hand, metrics, room)

    def limit(spec: LimitsSpec) -> None:
        rtmp.set_limits(*port_limits(spec))
        http.limits = http_limits(spec.http, room)

    deliverer = Deliverer(
        logs,
        policy=OutboundPolicy(allow_loopback=options.allow_loopback, allow_networks=options.allow_networks),
        environment=Environment("local", "OnAir local"),
        on_status=lambda uid: control.endpoint_fared(uid) if control else None,
    )
    async with contextlib.AsyncExitStack() as stack:
        with _as_start_error("RTMP", options.rtmp):
            await rtmp.bind(*options.rtmp)
        stack.push_async_callback(rtmp.close)
        http_port = await _listen_http(http, options.http)
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(http.close)
        addresses = Addresses(
            reachable(options.rtmp[0]),
            rtmp.address[1],
            reachable(options.http[0]),
            http_port,
            is_everywhere(options.rtmp[0]),
            is_everywhere(options.http[0]),
        )
        control = Control(
            state,
            options.paths,
            root=root,
            addresses=addresses,
            host=host,
            logs=logs,
            deliverer=deliverer,
            report=report,
            limit=limit,
        )
        stack.push_async_callback(deliverer.stop)
        stack.push_async_callback(_take_in_last, control)
        await host.start(control.stores.know())
        stack.push_async_callback(host.stop)
        for counts in (collector, metrics):
            REGISTRY.register(counts)
            stack.callback(REGISTRY.unregister, counts)
        await insist(control.reconcile)  # a full disk is waited for, as later on
        host.directory.complete = True
        await control.start_endpoints()
        runtime.tune()
        # Publishers are told and cut first: their events still reach log, status and webhooks.
        rtmp.serve()
        stack.push_async_callback(rtmp.close)
        _write_endpoint(state, addresses)
        stack.callback((state.folder / "endpoint.json").unlink, missing_ok=True)
        yield control, addresses


async def _take_in_last(control: Control) -> None:
    try:
        await control.take_in()
    except OSError as error:
        log.error("the last events are not in status yet; they will be at the next start", problem=error.strerror)


async def _until(stop: asyncio.Event, *works: Awaitable[None]) -> None:
    """Until `stop`; a work that fails ends all."""
    tasks = [asyncio.ensure_future(work) for work in works]
    stopped = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, *tasks):
        task.cancel()
    await asyncio.gather(stopped, *tasks, return_exceptions=True)
    for task in done:
        if task is not stopped and not task.cancelled() and task.exception() is not None:
            raise task.exception() or RuntimeError


async def _watch(options: Options, state: LocalState, control: Control) -> None:
    await watch(
        options.paths,
        state,
        reconcile=partial(insist, control.reconcile),
        take_requests=partial(insist, partial(_take_requests, state, control)),
        is_due=lambda: control.reconcile_is_due,
    )


async def _take_requests(state: LocalState, control: Control) -> None:
    for file, request in waiting(state.requests):
        if request is not None:
            await control.complete(request.namespace, request.name, request.broadcast)
        else:
            log.warning("a request makes no sense", file=str(file))
        file.unlink(missing_ok=True)


def _application(host: ChannelHost, metrics: PlaybackMetrics) -> web.Application:
    app = web.Application()

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), content_type="text/plain", charset="utf-8")

    app.router.add_get("/metrics", show_metrics)
    add_routes(app, host.directory, metrics)
    return app


async def _listen_http(http: PlaybackServer, address: tuple[str, int]) -> int:
    with _as_start_error("HTTP", address):
        return await http.listen(*address)
    raise AssertionError


def _write_endpoint(state: LocalState, addresses: Addresses) -> None:
    content = {
        "rtmp": addresses.ingest("rtmp").removesuffix("/app"),
        "rtmps": addresses.ingest("rtmps").removesuffix("/app"),
        "http": addresses.http,
        "pid": os.getpid(),
    }
    temporary = state.folder / ".endpoint.json.new"
    temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    temporary.replace(state.folder / "endpoint.json")


@contextlib.contextmanager
def _locked(state: LocalState) -> Iterator[None]:
    """Two processes must never serve one folder. Raises `StartError`."""
    try:
        state.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.objects.mkdir(exist_ok=True)
        file = (state.folder / "lock").open("wb")
    except OSError as error:
        raise StartError(f"the state folder {state.folder} cannot be used: {error.strerror}") from error
    with file:
        if not _lock(file):
            raise StartError(
                f"another onair local serves {state.folder}; end it first, or give this one a --state-dir of its own"
            )
        (state.folder / "endpoint.json").unlink(missing_ok=True)
        yield


def _lock(file: IO[bytes]) -> bool:
    """False when another process goes on holding it."""
    for _ in range(LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(LOCK_PAUSE_SECONDS)
    return False


def _refuse_manifests_in_state(options: Options) -> None:
    """What OnAir writes must never be read as manifests. Raises `StartError`."""
    own = options.state_dir.resolve()
    for path in options.paths:
        if path.resolve() == own or own in path.resolve().parents:
            raise StartError(f"{path} is inside the state folder {options.state_dir}; keep manifests elsewhere")


@contextlib.contextmanager
def _as_start_error(what: str, address: tuple[str, int]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        hint = f"; another one: --{what.lower()} HOST:PORT, port 0 takes a free one"
        raise StartError(f"cannot listen for {what} on {address[0]}:{address[1]}: {reason}{hint}") from error


def _names(fourccs: Iterable[bytes]) -> list[str]:
    return [fourcc.decode() for fourcc in fourccs]
