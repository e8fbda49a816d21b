"""Connections that do not do what a publisher does: each has its deadline, and none disturbs the others.

The deadlines are shortened; what is awaited is the close, never a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import rtmp_wire as wire

from onair_core.contract import DisconnectReason
from onair_media.ingest import server as server_module
from onair_media.ingest import session as session_module
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.session import PublisherSession, Refused
from onair_media.ingest.tls import self_signed

KEY = "key-of-the-test-stream"
SOON = 0.2


class Sink:
    def __init__(self) -> None:
        self.reasons: list[DisconnectReason] = []
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()

    def admit(self, session: PublisherSession, key: str) -> Sink:
        if key != KEY:
            raise Refused("NetStream.Publish.BadName", "No stream has this key.")
        return self

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.arrived.set()

    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.arrived.set()

    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None:
        pass

    def left(self, session: PublisherSession, reason: DisconnectReason) -> None:
        self.reasons.append(reason)
        self.gone.set()


@pytest.fixture
async def sink() -> Sink:
    return Sink()


@pytest.fixture
async def server(sink: Sink, tmp_path: Path) -> AsyncIterator[RtmpServer]:
    server = RtmpServer(sink, self_signed(tmp_path))
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


class Client:
    """An encoder made of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, server: RtmpServer) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", server.address[1]))

    async def shake_hands(self) -> None:
        self.writer.write(b"\3" + bytes(1536))
        await self.reader.readexactly(1 + 2 * 1536)
        self.writer.write(bytes(1536))

    def command(self, *values: object, stream: int = 0) -> None:
        self.writer.write(wire.message(wire.amf(*values), csid=3, kind=wire.COMMAND, stream=stream))

    async def publish(self, key: str = KEY) -> None:
        await self.shake_hands()
        self.command("connect", 1.0, {"app": "app"})
        self.command("createStream", 2.0, None)
        self.command("publish", 3.0, None, key, "live", stream=1)

    def audio(self) -> None:
        self.writer.write(wire.message(b"\xaf\0", kind=wire.AUDIO))

    async def is_closed(self) -> bytes:
        """What the server still said before it closed the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@pytest.mark.parametrize("said", [b"", b"\3", b"\3" + bytes(700), b"\x16", b"\x16\3\1"])
async def test_a_handshake_that_does_not_end_is_cut(
    server: RtmpServer, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", SOON)
    client = await Client.connect(server)
    client.writer.write(said)
    assert await client.is_closed() == b""


async def test_a_handshake_that_trickles_has_no_more_time(server: RtmpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HANDSHAKE_SECONDS", SOON)
    client = await Client.connect(server)

    async def trickle() -> None:
        while True:
            client.writer.write(b"\3")
            await client.writer.drain()
            await asyncio.sleep(SOON / 20)

    trickling = asyncio.create_task(trickle())
    await client.is_closed()
    trickling.cancel()
    await asyncio.gather(trickling, return_exceptions=True)


async def test_who_never_publishes_is_cut(server: RtmpServer, monkeypatch: pytest.MonkeyPatch, sink: Sink) -> None:
    monkeypatch.setattr(session_module, "PUBLISH_SECONDS", SOON)
    client = await Client.connect(server)
    await client.shake_hands()
    client.command("connect", 1.0, {"app": "app"})
    assert b"NetConnection.Connect.Success" in await client.is_closed()
    assert sink.reasons == []


async def test_a_silent_publisher_is_disconnected_and_told(
    server: RtmpServer, monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    monkeypatch.setattr(session_module, "MEDIA_IDLE_SECONDS", SOON)
    client = await Client.connect(server)
    await client.publish()
    client.audio()
    said = await client.is_closed()
    assert b"NetStream.Publish.Start" in said and b"No audio or video came for" in said
    assert sink.reasons == [DisconnectReason.PUBLISHER_SILENT]


async def test_a_wrong_key_hears_why_and_is_closed(server: RtmpServer, sink: Sink) -> None:
    client = await Client.connect(server)
    await client.publish("not-the-key-of-anything")
    said = await client.is_closed()
    assert b"NetStream.Publish.BadName" in said and b"not-the-key" not in said
    assert sink.reasons == []


async def test_garbage_ends_that_connection_and_no_other(server: RtmpServer, sink: Sink) -> None:
    publisher = await Client.connect(server)
    await publisher.publish()
    publisher.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)
    for said in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16garbage that is no TLS record at all",
        b"\3" + bytes(3072) + b"\xff" * 99,
    ):
        client = await Client.connect(server)
        client.writer.write(said)
        await client.is_closed()
    assert sink.reasons == []
    sink.arrived.clear()
    publisher.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)


async def test_a_defect_costs_one_connection_and_the_others_go_on(
    server: RtmpServer, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await Client.connect(server), await Client.connect(server)
    for client in (first, second):
        await client.publish()
        client.audio()
        await asyncio.wait_for(sink.arrived.wait(), 10)
        sink.arrived.clear()

    def defect(*_: object) -> None:
        raise RecursionError

    with monkeypatch.context() as patched:
        patched.setattr(sink, "audio", defect)
        first.audio()
        await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.INTERNAL_ERROR]
    second.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)


async def test_connections_that_only_wait_are_limited_per_address(
    server: RtmpServer, monkeypatch: pytest.MonkeyPatch, sink: Sink
) -> None:
    monkeypatch.setattr(server_module, "MAX_WAITING_PER_ADDRESS", 3)
    publisher = await Client.connect(server)
    await publisher.publish()
    publisher.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)
    waiting = [await Client.connect(server) for _ in range(3)]
    fourth = await Client.connect(server)
    await fourth.is_closed()
    waiting[0].writer.close()
    await waiting[0].writer.wait_closed()
    async with asyncio.timeout(10):
        while True:  # the server notices that one has gone
            client = await Client.connect(server)
            client.writer.write(b"\3" + bytes(1536))
            if await client.reader.read(1):
                break
    assert sink.reasons == [], "a publisher does not count"
