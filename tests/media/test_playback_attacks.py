"""Viewers that mean harm: odd paths, silly ranges, heads without end, slow senders, slow readers, crowds."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from aiohttp import web
from playback_stream import Channel

from onair_media.hls import Playlist
from onair_media.playback import Limits, Media, Playable, PlaybackMetrics, PlaybackServer, add_routes, limits_of_process
from onair_media.playback import express as express_module
from onair_media.playback import response as response_module
from onair_media.playback import server as server_module

LARGE = 24 * 1024 * 1024
"""More than the kernel takes off a server's hands when nobody reads."""

QUICK = Limits(head_seconds=0.3, idle_seconds=0.6)
PATIENT = Limits(head_seconds=3600, idle_seconds=3600)

PLAYLIST = b"GET /keynote-2026/video.m3u8 HTTP/1.1\r\nHost: a\r\n\r\n"
SEGMENT = "/keynote-2026/keynote-1/1/video/0.m4s"


class Large:
    """One large segment, in memory or from a store."""

    def __init__(self, *, stored: bool) -> None:
        self._stored = stored
        self.chunks = 0

    def multivariant(self, playback_id: str) -> Playlist | None:
        return None

    def media_playlist(self, rendition: str) -> Playlist | None:
        return None

    async def media(self, path: str) -> Media | None:
        return self.media_now(path)

    def media_now(self, path: str) -> Media | None:
        return Media(LARGE, self) if self._stored else Media.of(bytes(LARGE))

    async def stream(self, start: int, stop: int) -> AsyncIterator[bytes]:
        for at in range(start, stop, 65536):
            self.chunks += 1
            yield bytes(min(65536, stop - at))


class Directory:
    def __init__(self) -> None:
        self.channel = Channel()
        self.channel.start()
        self.stored = Large(stored=True)
        self._playables: dict[str, Playable] = {
            "keynote-2026": self.channel.playable,
            "in-memory": Large(stored=False),
            "in-a-store": self.stored,
        }

    def at_hand(self, playback_id: str) -> Playable | None:
        playable = self._playables.get(playback_id)
        return None if playable is self.stored else playable

    async def lookup(self, playback_id: str) -> Playable | None:
        return self._playables.get(playback_id)

    def title(self, playback_id: str) -> str | None:
        return None


class Site:
    """A server with these limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.directory = Directory()
        self.port = 0

    async def __aenter__(self) -> Site:
        app, metrics = web.Application(), PlaybackMetrics()
        add_routes(app, self.directory, metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        self.server = PlaybackServer(self._runner, self.directory.at_hand, metrics, self.limits, sweep_seconds=0.05)
        self.port = await self.server.listen("127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()
        await self._runner.cleanup()

    async def viewer(self, address: str = "127.0.0.1") -> Viewer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        return Viewer(reader, writer)

    async def answer(self, request: bytes) -> bytes:
        viewer = await self.viewer()
        viewer.writer.write(request)
        answer = await viewer.head()
        viewer.writer.transport.abort()
        return answer

    async def deaf(self, request: bytes) -> socket.socket:
        """A viewer that asks and does not read."""
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", self.port))
        await loop.sock_sendall(deaf, request)
        return deaf

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)


class Viewer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        """Of an answer; empty when the server has closed the connection."""
        try:
            return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            return getattr(error, "partial", b"")

    async def is_served(self, request: bytes = PLAYLIST) -> bool:
        self.writer.write(request)
        head = await self.head()
        if not head.startswith(b"HTTP/1.1 200 "):
            return False
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: "))
        await asyncio.wait_for(self.reader.readexactly(int(length.split()[1])), 30)
        return True

    async def closed(self) -> bytes:
        """What came until the server closed the connection."""
        came = b""
        with contextlib.suppress(ConnectionError):
            while piece := await asyncio.wait_for(self.reader.read(65536), 30):
                came += piece
        return came


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with Site(Limits()) as site:
        yield site


@pytest.fixture
async def quick() -> AsyncIterator[Site]:
    async with Site(QUICK) as site:
        yield site


@pytest.mark.parametrize(
    "target",
    [
        "/keynote-2026/../../etc/passwd",
        "/keynote-2026/%2e%2e/%2e%2e/etc/passwd",
        "/keynote-2026/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/keynote-2026/..%5c..%5cetc%5cpasswd",
        "/keynote-2026/keynote-1/1/video/%2e%2e/%2e%2e/0.m4s",
        "/keynote-2026/keynote-1%2f1%2fvideo%2f..%2f0.m4s",
        "/keynote-2026/keynote-1/1/video/0.m4s%00.mp4",
        "/keynote-2026/keynote-1/1/video/%000.m4s",
        "/keynote-2026/keynote-1//1/video/0.m4s",
        "/keynote-2026/./keynote-1/1/video/0.m4s",
        "/keynote-2026/keynote-1/1/video/99999999999999999999.m4s",
        "//keynote-2026.m3u8",
        "/%00.m3u8",
        "/%ff%fe.m3u8",
        "/" + "a" * 200 + ".m3u8",
        "/watch/%2e%2e%2fkeynote-2026",
        "/watch/<script>",
        "/watch/assets/%2e%2e/assets.py",
        "/watch/assets/../../../etc/passwd",
        "/watch/assets/v0/%00player.js",
        "http://127.0.0.1/etc/passwd",
        "http://evil.example/keynote-2026/../x.m3u8",
        "*",
        "keynote-2026.m3u8",
    ],
)
async def test_no_path_leads_anywhere_else(site: Site, target: str) -> None:
    answer = await site.answer(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"400", b"404"), answer
    assert await (await site.viewer()).is_served()


@pytest.mark.parametrize("encoded", ["/keynote-2026/keynote-1%2F1%2Fvideo%2F0.m4s", "/%6beynote-2026.m3u8"])
async def test_an_encoded_path_is_the_path_that_it_encodes(site: Site, encoded: str) -> None:
    answer = await site.answer(f"GET {encoded} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(600)), b"200"),
        ("bytes=0-,0-,0-,0-", b"200"),
        ("bytes=0-18446744073709551615", b"200"),
        ("bytes=0-999999999999999999", b"206"),
        ("bytes=999999999999999999-", b"416"),
        ("bytes=99999999999999999999999999-", b"200"),
        ("bytes=-0", b"416"),
        ("bytes=-999999999999999999", b"206"),
        ("bytes=--1", b"200"),
        ("bytes=-", b"200"),
        ("bytes=5-1", b"200"),
        ("bytes=0x0-0x9", b"200"),
        ("bytes=\u0660-\u0669", b"200"),
        ("lines=0-9", b"200"),
    ],
)
async def test_silly_ranges(site: Site, field: str, status: bytes) -> None:
    request = f"GET {SEGMENT} HTTP/1.1\r\nHost: a\r\nRange: {field}\r\n\r\n".encode()
    whole = int(
        (await site.answer(f"GET {SEGMENT} HTTP/1.1\r\nHost: a\r\n\r\n".encode())).split(b"Length: ")[1].split()[0]
    )
    answer = await site.answer(request)
    assert answer.split(b" ")[1] == status
    assert 0 <= int(answer.split(b"Content-Length: ")[1].split()[0]) <= whole


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 60_000,
        b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 10_000,
        b"GET /" + b"a" * 60_000,
        b"GET " * 10_000,
    ],
)
async def test_a_head_without_end_is_refused_before_it_ends(site: Site, request_bytes: bytes) -> None:
    viewer = await site.viewer()
    viewer.writer.write(request_bytes)
    assert (await viewer.head())[9:12] in (b"431", b"")  # reset, if more was on the way
    await site.until(lambda: site.server.connections == 0)


async def test_a_head_without_end_is_refused_behind_another_request_as_well() -> None:
    """aiohttp would take all of it: it limits the fields, and their length, but not both together."""
    async with Site(PATIENT) as site:
        viewer = await site.viewer()
        assert await viewer.is_served(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        viewer.writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"a" * 1000 + b"\r\n") * 60)
        assert await viewer.closed() == b""
        await site.until(lambda: site.server.connections == 0)


@pytest.mark.parametrize("before", [b"", PLAYLIST, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_who_sends_a_head_byte_by_byte_is_cut(before: bytes) -> None:
    async with Site(replace(QUICK, idle_seconds=3600)) as site:
        viewer = await site.viewer()
        if before:
            assert await viewer.is_served(before)

        async def trickle() -> None:
            viewer.writer.write(b"GET /keynote-2026.m3u8 HTTP/1.1\r\nX: ")
            while not viewer.writer.transport.is_closing():
                viewer.writer.write(b"a")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        await viewer.closed()
        await site.until(lambda: site.server.connections == 0)
        trickling.cancel()


@pytest.mark.parametrize(
    "sent", [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", PLAYLIST, b"GET /x HTTP/1.1\nX"]
)
async def test_who_says_no_more_is_cut(quick: Site, sent: bytes) -> None:
    viewer = await quick.viewer()
    viewer.writer.write(sent)
    await viewer.closed()
    await quick.until(lambda: quick.server.connections == 0)


async def test_nobody_is_overlooked_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are looked at a few at a time."""
    monkeypatch.setattr(server_module, "SWEEP_BATCH", 3)
    async with Site(QUICK) as site:
        crowd = [await site.viewer() for _ in range(20)]
        for viewer in crowd:
            assert await viewer.closed() == b""
        await site.until(lambda: site.server.connections == 0)


@pytest.mark.parametrize("playback_id", ["in-memory", "in-a-store"])
@pytest.mark.parametrize("field", ["", f"Range: bytes=0-{LARGE - 2}\r\n"])
async def test_who_does_not_read_is_cut(quick: Site, playback_id: str, field: str) -> None:
    deaf = await quick.deaf(f"GET /{playback_id}/a/1/video/0.m4s HTTP/1.1\r\nHost: a\r\n{field}\r\n".encode())
    assert await (await quick.viewer()).is_served()
    await quick.until(lambda: quick.server.connections == 0)
    deaf.close()
    assert quick.directory.stored.chunks < LARGE // 65536, "nothing is read from the store for who does not take it"


@pytest.mark.parametrize("playback_id", ["in-memory", "in-a-store"])
async def test_who_reads_too_slowly_is_cut_though_it_moves(monkeypatch: pytest.MonkeyPatch, playback_id: str) -> None:
    for module in (express_module, response_module):
        monkeypatch.setattr(module, "answer_seconds", lambda length: 0.5)
    async with Site(PATIENT) as site:
        slow = await site.deaf(f"GET /{playback_id}/a/1/video/0.m4s HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        loop = asyncio.get_running_loop()

        async def sip() -> None:
            with contextlib.suppress(ConnectionError):
                while await loop.sock_recv(slow, 512):
                    await asyncio.sleep(0.02)

        sipping = asyncio.create_task(sip())
        assert await (await site.viewer()).is_served()
        await site.until(lambda: site.server.connections == 0)
        sipping.cancel()
        slow.close()


async def test_one_address_cannot_take_all_the_room() -> None:
    async with Site(Limits(connections=6, per_address=3)) as site:
        greedy = [await site.viewer("127.0.0.2") for _ in range(3)]
        await site.until(lambda: site.server.connections == 3)
        turned_away = await (await site.viewer("127.0.0.2")).closed()
        assert turned_away.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: " in turned_away
        others = [await site.viewer(f"127.0.0.{n}") for n in (3, 4, 5)]
        for viewer in [*greedy, *others]:
            assert await viewer.is_served()
        assert (await (await site.viewer("127.0.0.6")).closed()).startswith(b"HTTP/1.1 503 "), "and in all"
        greedy[0].writer.close()
        await site.until(lambda: site.server.connections == 5)
        assert await (await site.viewer("127.0.0.6")).is_served(), "there is room again"


async def test_an_edit_of_the_limits_holds_at_once_and_what_it_costs_is_counted() -> None:
    async with Site(PATIENT) as site:
        idle = await site.viewer()
        assert await idle.is_served()
        site.server.limits = replace(PATIENT, connections=1)
        assert (await (await site.viewer()).closed()).startswith(b"HTTP/1.1 503 ")
        site.server.limits = replace(QUICK, head_bytes=100)
        await idle.closed()
        long = await site.viewer()
        long.writer.write(b"GET /" + b"a" * 100)
        assert (await long.closed()).startswith(b"HTTP/1.1 431 ")
        counts = {
            sample.labels["reason"]: sample.value
            for metric in site.server.metrics.collect()
            for sample in metric.samples
            if sample.name == "onair_playback_rejected_total"
        }
        assert counts == {"connections": 1, "idle_seconds": 1, "head_bytes": 1}


async def test_two_thousand_idle_viewers_leave_a_healthy_one_in_peace() -> None:
    limits, before = limits_of_process(), resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 5000:
        pytest.skip("this process may not open 5000 files")
    async with Site(limits) as site:
        idle = [await site.viewer() for _ in range(2000)]
        for number, viewer in enumerate(idle):
            viewer.writer.write((b"", b"GET /keyn", PLAYLIST)[number % 3])
        await site.until(lambda: site.server.connections == 2000)
        healthy = await site.viewer()
        for _ in range(10):
            assert await healthy.is_served()
            assert await healthy.is_served(f"GET {SEGMENT} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert site.server.connections == 2001, "and nobody had to go for it"
        idle[1].writer.write(PLAYLIST.removeprefix(b"GET /keyn"))
        assert (await idle[1].head()).startswith(b"HTTP/1.1 200 ")
        for viewer in idle:
            viewer.writer.transport.abort()
        await site.until(lambda: site.server.connections == 1)
