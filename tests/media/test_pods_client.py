"""The operator's client of a control port, at ports that answer as no ingest pod does."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from fake_pods import EVENTS, Connection, FakePod, event, lines

from free_ports import free_ports
from onair_core.contract import Applied, ChannelConfig, Cursor, JournalEvent, PodConfig, StreamRef
from onair_operator.pods.client import LONGEST_ANSWER, Patience, PodClient, pod_session
from onair_operator.pods.errors import PodError, PodNonsense, PodRefused, PodUnreachable
from onair_operator.pods.lines import LONGEST_LINE

CONFIG = PodConfig(channel=ChannelConfig(stream=StreamRef("events", "keynote", "uid-1")))
HASH = "0123456789abcdef" * 2
HASTE = Patience(connect=0.5, answer=0.5, silence=0.5)
MIB = 1024 * 1024


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with pod_session() as session:
        yield session


def says(*parts: bytes, stays: bool = False) -> object:
    async def answer(_: str, connection: Connection) -> None:
        for part in parts:
            await connection.say(part)
        if stays:
            await connection.ended()

    return answer


def body(content: bytes, status: str = "200 OK", *headers: str) -> bytes:
    more = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n{more}\r\n".encode() + content


async def asked(session: aiohttp.ClientSession, folder: Path, *parts: bytes, stays: bool = False) -> Applied:
    async with FakePod(folder, "keynote", says(*parts, stays=stays)).serving() as pod:  # type: ignore[arg-type]
        return await PodClient(session, pod.address, pod.access, HASTE).put(CONFIG)


async def listened(session: aiohttp.ClientSession, pod: FakePod, patience: Patience = HASTE) -> list[JournalEvent]:
    """Until the stream ends."""
    with await PodClient(session, pod.address, pod.access, patience).events(Cursor(1, 0)) as stream:
        return [one async for batch in stream for one in batch.events]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_requests_are_what_the_contract_says(session: aiohttp.ClientSession, tmp_path: Path, host: str) -> None:
    if host == "::1":
        try:
            socket.create_server((host, 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
    answers = iter(
        [
            body(f'{{"hash":"{HASH}","problems":["p"]}}'.encode()),
            body(b'{"idle":true,"newest":{"epoch":2,"n":7}}'),
            body(b"", "204 No Content"),
            body(b"not open", "404 Not Found"),
            EVENTS.replace(b"\r\n\r\n", f"\r\nonair-config: {HASH}\r\n\r\n".encode()) + b"\n" + lines(event(3, 2)),
        ]
    )

    async def answer(_: str, connection: Connection) -> None:
        await connection.say(next(answers))

    async with FakePod(tmp_path, "keynote", answer).serving(host) as pod:
        client = PodClient(session, pod.address, pod.access)
        assert await client.put(CONFIG) == Applied(HASH, ("p",))
        drained = await client.drain()
        assert drained.idle and drained.newest == Cursor(2, 7)
        assert await client.complete("of/../this?") is True
        assert await client.complete("another") is False
        with await client.events(Cursor(3, 1)) as stream:
            assert stream.config_hash == HASH
            batches = [batch async for batch in stream]
    assert [one for batch in batches for one in batch.events] == [event(3, 2)]
    assert [head.splitlines()[0] for head in pod.requests] == [
        "PUT /v1/config HTTP/1.1",
        "POST /v1/drain HTTP/1.1",
        "POST /v1/broadcasts/of%2F..%2Fthis%3F/complete HTTP/1.1",
        "POST /v1/broadcasts/another/complete HTTP/1.1",
        "GET /v1/events?after=3.1 HTTP/1.1",
    ]
    assert all(f"Authorization: Bearer {pod.access.token}" in head for head in pod.requests)


async def test_somebody_else_at_the_address_is_not_shown_the_token(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with FakePod(tmp_path, "another", says()).serving() as pod:  # type: ignore[arg-type]
        access = dataclasses.replace(pod.access, fingerprint=bytes(32))
        client = PodClient(session, pod.address, access)
        for ask in (client.put(CONFIG), client.drain(), client.complete("b")):
            with pytest.raises(PodUnreachable, match="somebody else"):
                await ask
        with pytest.raises(PodUnreachable, match="somebody else"):
            await client.events(Cursor())
    assert pod.requests == []


async def test_nothing_of_the_environment_decides_where_a_token_goes(
    session: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert (await asked(session, tmp_path, body(f'{{"hash":"{HASH}"}}'.encode()))).hash == HASH


async def test_nobody_is_there(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    access = FakePod(tmp_path, "keynote", says()).access  # type: ignore[arg-type]
    with pytest.raises(PodUnreachable, match="Connect"):
        await PodClient(session, ("127.0.0.1", free_ports(1)[0]), access).drain()
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(PodUnreachable, match="in time"):
        await PodClient(session, mute.getsockname(), access, HASTE).drain()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (body(b"a bearer token is needed\n", "401 Unauthorized"), PodRefused, "401: a bearer token"),
        (body(b"", "302 Found", "Location: https://127.0.0.1:1/"), PodRefused, "302"),
        (body(b"x" * MIB, "500 Internal Server Error"), PodRefused, "500: xxx"),
        (body(b"", "204 No Content"), PodRefused, "204"),
        (body(b"[]"), PodNonsense, "no Applied"),
        (body(b"{"), PodNonsense, "no Applied"),
        (body(b"[" * 100_000), PodNonsense, "no Applied"),
        (body(b'{"hash":7}'), PodNonsense, "no Applied"),
        (body(gzip.compress(b" " * MIB + b'{"hash":"x"}'), "200 OK", "Content-Encoding: gzip"), PodNonsense, "no App"),
        (body(b" " * (LONGEST_ANSWER + 1)), PodNonsense, "more than 1048576 bytes"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", PodNonsense, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * MIB, PodNonsense, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 10_000, PodNonsense, "no HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000, PodUnreachable, r"isconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", PodUnreachable, "ClientPayloadError"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno-size\r\n", PodError, r"."),
        (b"", PodUnreachable, r"isconnected"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else "",
)
async def test_an_answer_that_is_none(
    session: aiohttp.ClientSession, tmp_path: Path, answer: bytes, error: type[PodError], said: str
) -> None:
    with pytest.raises(error, match=said):
        await asked(session, tmp_path, answer)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", EVENTS])
async def test_an_answer_that_does_not_come(session: aiohttp.ClientSession, tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(PodUnreachable, match="in time"):
        await asked(session, tmp_path, answer, stays=True)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((lines(event(1, 1)), b"garbage\n"), "no event"),
        ((lines(event(1, 1), event(1, 1)),), "event 1.1 after 1.1"),
        ((lines(event(2, 1), event(1, 9)),), "event 1.9 after 2.1"),
        ((lines(event(1, 0)),), "event 1.0 after 1.0"),
        ((b"\n" * 1000,), "empty lines"),
    ],
)
async def test_a_stream_that_makes_no_sense(
    session: aiohttp.ClientSession, tmp_path: Path, parts: tuple[bytes, ...], said: str
) -> None:
    async with FakePod(tmp_path, "keynote", says(EVENTS, *parts, stays=True)).serving() as pod:  # type: ignore[arg-type]
        with pytest.raises(PodNonsense, match=said):
            await listened(session, pod)


async def test_a_header_that_is_no_hash(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    head = EVENTS.replace(b"\r\n\r\n", b"\r\nOnAir-Config: ../../etc\r\n\r\n")
    async with FakePod(tmp_path, "keynote", says(head, stays=True)).serving() as pod:  # type: ignore[arg-type]
        with pytest.raises(PodNonsense, match="no hash"):
            await listened(session, pod)


@pytest.mark.parametrize("flood", [b"x" * 65536, b"x" * 100, b"\n" * 1000], ids=["a line", "small bits of it", "empty"])
async def test_a_flood_is_cut_off_early(session: aiohttp.ClientSession, tmp_path: Path, flood: bytes) -> None:
    said: list[Connection] = []
    over = asyncio.Event()

    async def answer(_: str, connection: Connection) -> None:
        said.append(connection)
        try:
            await connection.say(EVENTS)
            while True:
                await connection.say(flood)
        finally:
            over.set()

    async with FakePod(tmp_path, "keynote", answer).serving() as pod:
        with pytest.raises(PodNonsense, match=r"bytes|empty"):
            await listened(session, pod, Patience())
        await over.wait()
    assert said[0].sent < LONGEST_LINE + 16 * MIB, "with what sockets and TLS have room for"


@pytest.mark.parametrize("part", [b"", b'{"epoch":'])
async def test_silence_is_not_listened_to_for_ever(session: aiohttp.ClientSession, tmp_path: Path, part: bytes) -> None:
    answer = says(EVENTS, b"\n", lines(event(1, 1)), part, stays=True)
    async with FakePod(tmp_path, "keynote", answer).serving() as pod:  # type: ignore[arg-type]
        with pytest.raises(PodUnreachable, match="in time"):
            await listened(session, pod)
