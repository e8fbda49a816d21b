"""`onair ingest` as a process: everything started in order, and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web
from prometheus_client import REGISTRY

from onair_core.contract import LimitsSpec
from onair_media.flv import AUDIO_FOURCCS, VIDEO_FOURCCS
from onair_media.ingest import runtime
from onair_media.ingest.class_limits import http_limits, port_limits
from onair_media.ingest.host import ChannelHost
from onair_media.ingest.metrics import IngestCollector
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.tls import CertificateError, TlsFiles
from onair_media.playback import PlaybackMetrics, PlaybackServer, add_routes, limits_of_process, request_logger
from onair_media.pod.channel import PodChannel
from onair_media.pod.control import control_application
from onair_media.pod.probes import probe_application
from onair_media.pod.settings import Settings, SettingsError, read_settings
from onair_media.store import mounted_credentials

log = structlog.get_logger(__name__)

# A viewer that reads slowly does not hold up a stop for longer.
HTTP_SHUTDOWN_SECONDS = 3.0
# After the publisher was told, the operator may still read the last events.
LAST_EVENTS_SECONDS = 5.0
# How often it is looked whether credentials were renewed.
CREDENTIALS_SECONDS = 10.0

Address = tuple[str, int]


class StartError(Exception):
    """It cannot start; the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. Addresses are (host, port); `rtmps`: a folder with tls.crt and tls.key; `store_credentials`:
    one with a file for each of the store's.
    """

    config: Path
    data: Path
    rtmp: Address
    http: Address
    control: Address
    probes: Address
    rtmps: Path | None = None
    store_credentials: Path | None = None


async def serve(options: Options) -> None:
    """Runs until SIGINT or SIGTERM. Raises `StartError`."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        settings = read_settings(options.config)
        tls = TlsFiles(options.rtmps / "tls.crt", options.rtmps / "tls.key") if options.rtmps else None
        control_tls = TlsFiles(settings.certificate, settings.key).context()
    except (SettingsError, CertificateError) as error:
        raise StartError(str(error)) from error
    async with _running(options, settings, tls, control_tls):
        log.info("accepting publishers", stream=str(settings.config.channel.stream), port=options.rtmp[1])
        await stop.wait()
        log.info("stopping")


@contextlib.asynccontextmanager
async def _running(
    options: Options, settings: Settings, tls: TlsFiles | None, control_tls: ssl.SSLContext
) -> AsyncIterator[None]:
    stream = settings.config.channel.stream
    (options.data / "ingest").mkdir(parents=True, exist_ok=True)
    host = ChannelHost(
        options.data / "ingest",
        on_journal=lambda _: pod.journal_grew(),
        inits=ThreadPoolExecutor(1, thread_name_prefix="init"),
        credentials=lambda _url: mounted_credentials(options.store_credentials) if options.store_credentials else {},
    )
    rtmp = RtmpServer(
        host,
        tls,
        video_fourccs=[fourcc.decode() for fourcc in VIDEO_FOURCCS],
        audio_fourccs=[fourcc.decode() for fourcc in AUDIO_FOURCCS],
    )
    metrics = PlaybackMetrics()
    viewers = await _runner(_playback(host, metrics))
    room = limits_of_process()
    http = PlaybackServer(viewers, host.directory.at_hand, metrics, room)

    def limit(spec: LimitsSpec) -> None:
        rtmp.set_limits(*port_limits(spec))
        http.limits = http_limits(spec.http, room)

    pod, accepting = PodChannel(host, stream, limit), asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(viewers.cleanup)
        with _as_start_error("RTMP", options.rtmp):
            await rtmp.bind(*options.rtmp)
        stack.push_async_callback(rtmp.close)
        await _listen(stack, "probes", probe_application(accepting.is_set), options.probes)
        store = settings.config.channel.asset.store
        if store is not None:
            host.stores.know(store)
        await host.start([store.url] if store else [])
        await pod.configure(settings.config)
        with _as_start_error("HTTP", options.http):
            await http.listen(*options.http)
        stack.push_async_callback(http.close)
        control = control_application(pod, settings.token)
        await _listen(stack, "control", control, options.control, control_tls)
        stack.push_async_callback(_let_them_read, pod)
        stack.push_async_callback(host.stop)
        for counts in (IngestCollector(host, rtmp.rejected), metrics):
            REGISTRY.register(counts)
            stack.callback(REGISTRY.unregister, counts)
        renewing = asyncio.get_running_loop().create_task(_renew_credentials(host))
        stack.callback(renewing.cancel)
        runtime.tune()
        # The publisher is told and cut first: its last events still reach the operator.
        rtmp.serve()
        stack.push_async_callback(rtmp.close)
        accepting.set()
        stack.callback(accepting.clear)
        yield


async def _renew_credentials(host: ChannelHost) -> None:
    """A Secret that is mounted changes under the process, a minute or so after it was changed."""
    while True:
        await asyncio.sleep(CREDENTIALS_SECONDS)
        host.stores.refresh()


async def _listen(
    stack: contextlib.AsyncExitStack,
    what: str,
    app: web.Application,
    address: Address,
    tls: ssl.SSLContext | None = None,
) -> None:
    runner = await _runner(app)
    stack.push_async_callback(runner.cleanup)
    with _as_start_error(what, address):
        await web.TCPSite(runner, *address, ssl_context=tls).start()


async def _runner(app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, logger=request_logger(), shutdown_timeout=HTTP_SHUTDOWN_SECONDS)
    await runner.setup()
    return runner


def _playback(host: ChannelHost, metrics: PlaybackMetrics) -> web.Application:
    app = web.Application()
    add_routes(app, host.directory, metrics)
    return app


async def _let_them_read(pod: PodChannel) -> None:
    """What nobody has read stays in the journal; on a volume that goes with the pod, it would be lost."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_EVENTS_SECONDS):
            await pod.all_told()


@contextlib.contextmanager
def _as_start_error(what: str, address: Address) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartError(f"cannot listen for {what} on {address[0]}:{address[1]}: {error.strerror}") from error
