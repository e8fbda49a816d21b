"""Connections that do not do what a publisher does: each has its deadline, and none disturbs the others.

The deadlines are shortened; what is awaited is the close, never a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import rtmp_wire as wire
from ingest_client import Client, Sink, serving
from structlog.testing import capture_logs

from onair_core.contract import DisconnectReason
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.ingest.server import RtmpServer
from onair_media.rtmp import Limits

SOON = 0.2


@pytest.fixture
async def sink() -> Sink:
    return Sink()


@pytest.fixture
async def server(sink: Sink, tmp_path: Path) -> AsyncIterator[RtmpServer]:
    async with serving(sink, tmp_path) as server:
        yield server


def hurry(server: RtmpServer, deadlines: Deadlines) -> None:
    """As an edit of the class does."""
    server.set_limits(Limits(), AdmissionLimits(), deadlines)


@pytest.mark.parametrize("said", [b"", b"\3", b"\3" + bytes(700), b"\x16", b"\x16\3\1"])
async def test_a_handshake_that_does_not_end_is_cut(server: RtmpServer, said: bytes) -> None:
    hurry(server, Deadlines(handshake=SOON))
    client = await Client.connect(server)
    client.writer.write(said)
    assert await client.is_closed() == b""
    assert server.rejected == {"handshake_deadline": 1}


async def test_a_handshake_that_trickles_has_no_more_time(server: RtmpServer) -> None:
    hurry(server, Deadlines(handshake=SOON))
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


async def test_who_never_publishes_is_cut(server: RtmpServer, sink: Sink) -> None:
    hurry(server, Deadlines(publish=SOON))
    client = await Client.connect(server)
    await client.shake_hands()
    client.command("connect", 1.0, {"app": "app"})
    assert b"NetConnection.Connect.Success" in await client.is_closed()
    assert sink.reasons == []
    assert server.rejected == {"publish_deadline": 1}


async def test_a_silent_publisher_is_disconnected_and_told(server: RtmpServer, sink: Sink) -> None:
    hurry(server, Deadlines(media=SOON))
    client = await Client.connect(server)
    await client.publish()
    client.audio()
    said = await client.is_closed()
    assert b"NetStream.Publish.Start" in said and b"No audio or video came for 0.2 s." in said
    assert sink.reasons == [DisconnectReason.PUBLISHER_SILENT]
    assert server.rejected == {"media_deadline": 1}


async def test_a_shortened_deadline_holds_for_those_who_come_after(server: RtmpServer, sink: Sink) -> None:
    before = await Client.connect(server)
    await before.publish()
    await before.is_live()
    hurry(server, Deadlines(handshake=SOON, publish=SOON, media=SOON))
    after = await Client.connect(server)
    await after.publish()
    assert b"No audio or video came for" in await after.is_closed()
    sink.arrived.clear()
    before.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)
    assert sink.reasons == [DisconnectReason.PUBLISHER_SILENT], "the one that came before it goes on"


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


async def test_connections_that_only_wait_are_limited_per_address(
    sink: Sink,
) -> None:
    server = RtmpServer(sink, admission_limits=AdmissionLimits(waiting_per_address=3))
    await server.start("127.0.0.1", 0)
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
    assert server.rejected["waiting_per_address"] >= 1
    await server.close()


@pytest.mark.parametrize("said", [b"", b"PROXY TCP4 127.0.0.1 127.0.0.1 5 5222\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"])
async def test_the_health_check_of_a_load_balancer_is_no_publisher(server: RtmpServer, sink: Sink, said: bytes) -> None:
    """It connects and closes, some with a PROXY header (livekit #272): no warning, no event, no place taken."""
    with capture_logs() as logs:
        for _ in range(20):
            client = await Client.connect(server)
            client.writer.write(said)
            if said:
                await client.is_closed()
            client.writer.close()
        client = await Client.connect(server)
        await client.publish()
        await client.is_live()
    assert not [line for line in logs if line["log_level"] in ("warning", "error")]
    assert sink.reasons == []
    assert set(server.rejected) <= {"protocol", "ended_before_publish"}


async def test_who_guesses_keys_is_refused_before_the_handshake(sink: Sink) -> None:
    server = RtmpServer(sink, admission_limits=AdmissionLimits(failed_keys_per_minute_per_address=2))
    await server.start("127.0.0.1", 0)
    publisher = await Client.connect(server)
    await publisher.publish()
    await publisher.is_live()
    for _ in range(2):
        guess = await Client.connect(server)
        await guess.publish("guess")
        assert b"BadName" in await guess.is_closed()
    third = await Client.connect(server)
    assert await third.is_closed() == b""
    publisher.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)
    assert server.rejected == {"unknown_key": 2, "failed_keys_per_minute_per_address": 1}
    await server.close()


async def test_those_who_wait_share_the_memory_that_is_for_them(sink: Sink) -> None:
    server = RtmpServer(sink, admission_limits=AdmissionLimits(waiting_bytes=300_000))
    await server.start("127.0.0.1", 0)
    begun = wire.set_chunk_size(100_000) + wire.chunks(b"", csid=4, declared=200_000)[0] + bytes(100_000)
    clients = [await Client.connect(server) for _ in range(8)]
    for client in clients:
        await client.shake_hands()
        client.writer.write(begun)
    async with asyncio.timeout(10):
        while server.rejected["waiting_bytes"] < 5:
            await asyncio.sleep(0.01)
    publisher = await Client.connect(server)
    await publisher.publish()
    await publisher.is_live()
    await server.close()


@pytest.mark.parametrize("flood", [wire.message(b"", kind=wire.VIDEO) + b"\xc4" * 2000, bytes(5) * 2000])
async def test_a_flood_before_the_key_ends_the_connection(server: RtmpServer, flood: bytes) -> None:
    client = await Client.connect(server)
    await client.shake_hands()
    client.writer.write(flood)
    await client.is_closed()
    assert sum(server.rejected.values()) == 1


async def test_of_a_publishers_flood_of_messages_so_many_are_taken_each_second(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RtmpServer(sink, limits=Limits(messages_per_second=100, messages_at_once=10))
    await server.start("127.0.0.1", 0)
    taken: list[float] = []
    monkeypatch.setattr(sink, "audio", lambda *_: taken.append(asyncio.get_running_loop().time()))
    client = await Client.connect(server)
    await client.publish()
    await client.is_live()
    client.writer.write(wire.message(b"", kind=wire.AUDIO) + b"\xc4" * 49)
    async with asyncio.timeout(10):
        while len(taken) < 50:
            await asyncio.sleep(0.01)
    assert len(set(taken)) >= 4, "in several turns"
    assert sink.reasons == []
    await server.close()
