"""A publisher that sends more messages than it may: held back, counted, and not longer there than it is."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import rtmp_wire as wire
from ingest_client import Client, Sink, trusting

from onair_core.contract import DisconnectReason
from onair_media.ingest import throttling
from onair_media.ingest.deadlines import Deadlines
from onair_media.ingest.gate import AdmissionLimits
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.tls import self_signed
from onair_media.rtmp import Limits

SOON = 0.2
ONE_A_SECOND = Limits(messages_per_second=1, messages_at_once=1)
# A header, and then a byte for each message.
EMPTY = wire.message(b"", kind=wire.AUDIO) + b"\xc4" * 5000
SOUND = wire.message(b"\xaf\1", kind=wire.AUDIO) * 5000


@pytest.fixture
async def sink() -> Sink:
    return Sink()


@pytest.fixture
async def server(sink: Sink, tmp_path: Path) -> AsyncIterator[RtmpServer]:
    server = RtmpServer(sink, self_signed(tmp_path), limits=ONE_A_SECOND)
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


async def flooding(server: RtmpServer, flood: bytes, *, tls: bool = False) -> Client:
    """A publisher that is held back."""
    client = await Client.connect(server, trusting() if tls else None)
    await client.publish()
    await client.is_live()
    client.writer.write(flood)
    async with asyncio.timeout(10):
        while not server.rejected["messages_per_second"]:
            await asyncio.sleep(0.01)
    return client


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_its_place_is_given_back_when_it_is_reset(server: RtmpServer, sink: Sink, tls: bool) -> None:
    client = await flooding(server, EMPTY, tls=tls)
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CONNECTION_LOST]
    assert server.rejected == {"messages_per_second": 1}


async def test_what_it_sent_before_its_end_is_not_waited_for_for_ever(
    server: RtmpServer, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttling, "FINISHED_SECONDS", SOON)
    client = await flooding(server, EMPTY)
    client.writer.write_eof()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CONNECTION_LOST]


async def test_a_goodbye_at_the_end_of_what_it_sent_is_heard(sink: Sink) -> None:
    server = RtmpServer(sink, limits=Limits(messages_per_second=100, messages_at_once=20))
    await server.start("127.0.0.1", 0)
    goodbye = wire.message(wire.amf("deleteStream", 4.0, None, 1.0), csid=3, kind=wire.COMMAND)
    client = await flooding(server, wire.message(b"\xaf\1", kind=wire.AUDIO) * 100 + goodbye)
    client.writer.write_eof()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CLEAN_STOP]
    await server.close()


async def test_empty_messages_are_no_media(server: RtmpServer, sink: Sink) -> None:
    server.set_limits(ONE_A_SECOND, AdmissionLimits(), Deadlines(media=SOON))
    client = await flooding(server, EMPTY)
    assert b"No audio or video came for 0.2 s." in await client.is_closed()
    assert sink.reasons == [DisconnectReason.PUBLISHER_SILENT]


async def test_who_sends_too_much_for_too_long_is_cut_and_told(server: RtmpServer, sink: Sink) -> None:
    server.set_limits(ONE_A_SECOND, AdmissionLimits(), Deadlines(throttled=SOON))
    client = await flooding(server, SOUND)
    said = await client.is_closed()
    assert b"NetStream.Publish.Failed" in said and b"Too many messages a second came for 0.2 s." in said
    assert sink.reasons == [DisconnectReason.PROTOCOL_ERROR]
    assert server.rejected == {"messages_per_second": 1, "throttled_deadline": 1}
