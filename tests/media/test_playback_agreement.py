"""The short way against aiohttp alone: what the one answers with success, the other answers likewise."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from playback_stream import Channel

from onair_media.playback import PlaybackMetrics, PlaybackServer, add_routes

Ports = tuple[int, int]

TARGETS = (
    b"/keynote-2026.m3u8",
    b"/keynote-2026/video.m3u8",
    b"/keynote-2026/audio.m3u8",
    b"/keynote-2026/subtitles.m3u8",
    b"/keynote-2026/keynote-1/1/video/0.m4s",
    b"/keynote-2026/keynote-1/01/video/0.m4s",
    b"/keynote-2026/keynote-1/1/video/9999.m4s",
    b"/keynote-2026/keynote-1/1/video/init-0.mp4",
    b"/keynote-2026/../1/video/0.m4s",
    b"/unknown-id-1.m3u8",
    b"/watch/keynote-2026",
    b"/keynote-2026.m3u8?token=a",
)

FIELDS = (
    b"Host: a",
    b"host:b",
    b"User-Agent: test",
    b"Accept-Encoding: gzip",
    b"Accept-Encoding: br, gzip;q=0",
    b"If-None-Match: *",
    b"If-None-Match: \xa0*",
    b'If-None-Match: "keynote-1/1/video/0.m4s"',
    b"Connection: keep-alive",
    b"Connection: keep-alive, close",
    b"Range: bytes=0-9",
    b"Content-Type: text/plain",
    b"Content-Encoding: gzip",
    b"Cookie: " + b"a=b; " * 300,
    b"Cache-Control: no-cache",
    b"X-Empty:",
    b"Server: a",
    b"ETag: a",
    b"Max-Forwards: 3",
)

CORPUS = (
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 40\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\n\nGET /secret HTTP/1.1\r\nHost: b\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nX: \0a\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\ngarbage\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 60_000 + b"\r\n\r\n",
    b"GET /keynote-2026.m3u8 HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 3000 + b"\r\n",
)

nasty = st.lists(st.sampled_from([bytes([c]) for c in b'\r\n\0\t :;,"=aZ-_/\x7f\x80\xe9\xff']), max_size=12).map(
    b"".join
)
line = st.one_of(
    st.sampled_from(FIELDS), st.sampled_from(FIELDS), nasty, st.builds(bytes.__add__, st.just(b"X:"), nasty)
)
heads = st.builds(
    lambda target, fields, sep: b"GET " + target + b" HTTP/1.1\r\n" + sep.join([b"Host: a", *fields]) + b"\r\n\r\n",
    st.sampled_from(TARGETS),
    st.lists(line, max_size=6),
    st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]),
)


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    """Of the short way and of aiohttp alone; they serve the same channel, in a thread."""
    started, stop = threading.Event(), threading.Event()
    found: list[int] = []

    async def serve() -> None:
        channel = Channel()
        channel.start()
        app, metrics = web.Application(), PlaybackMetrics()
        add_routes(app, channel, metrics)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        server = PlaybackServer(runner, lambda name: channel.playable if name == "keynote-2026" else None, metrics)
        found.append(await server.listen("127.0.0.1", 0))
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.append(runner.addresses[0][1])
        started.set()
        await asyncio.to_thread(stop.wait)
        await server.close()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    yield found[0], found[1]
    stop.set()
    thread.join()


def status(port: int, request: bytes) -> int:
    """Of the first answer; 0 when there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        answer = b""
        try:
            connection.sendall(request)
            while b"\r\n" not in answer:
                piece = connection.recv(4096)
                if not piece:
                    return 0
                answer += piece
        except ConnectionError:  # it was refused while there was more to send
            return 0
        return int(answer.split(b" ", 2)[1])


def agree(ports: Ports, request: bytes) -> None:
    express = status(ports[0], request)
    if 200 <= express < 400:
        assert express == status(ports[1], request)


@pytest.mark.parametrize("request_bytes", CORPUS, ids=range(len(CORPUS)))
def test_what_aiohttp_refuses_is_refused(ports: Ports, request_bytes: bytes) -> None:
    assert not 200 <= status(ports[1], request_bytes) < 400
    assert not 200 <= status(ports[0], request_bytes) < 400


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("field", FIELDS)
def test_every_field_beside_every_target(ports: Ports, target: bytes, field: bytes) -> None:
    request = b"GET " + target + b" HTTP/1.1\r\nX-First: 1\r\n" + field + b"\r\n"
    agree(ports, request + b"\r\n")
    agree(ports, request + b"Host: a\r\n\r\n")
    agree(ports, request + b"Host: a\r\n" + field + b"\r\n\r\n")


@given(heads)
@example(b"GET /keynote-2026/keynote-1/1/video/0.m4s HTTP/1.1\r\nHost: a\r\nIf-None-Match: \xa0*\r\n\r\n")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_short_way_answers_aiohttp_answers_too(ports: Ports, request: bytes) -> None:
    agree(ports, request)
