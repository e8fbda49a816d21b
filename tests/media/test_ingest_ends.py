"""However a connection ends, its channel hears it once, the encoder hears why, and nobody else notices."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
import rtmp_wire as wire
import uvloop
from ingest_client import KEY, Client, Sink

from onair_core.contract import DisconnectReason
from onair_media.ingest import session as session_module
from onair_media.ingest.gate import AdmissionLimits, Gate
from onair_media.ingest.rests import FULL_BYTES
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.ticker import Ticker
from onair_media.ingest.wire import Wire
from onair_media.rtmp import Limits, ServerConnection


@pytest.fixture
async def sink() -> Sink:
    return Sink()


@pytest.fixture
async def server(sink: Sink) -> AsyncIterator[RtmpServer]:
    server = RtmpServer(sink)
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


@pytest.fixture
def no_ticks(server: RtmpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read because a tick is due."""
    monkeypatch.setattr(server, "_ticker", Ticker(3600))


def defect(*_: object) -> None:
    raise RecursionError


@pytest.mark.usefixtures("no_ticks")
@pytest.mark.parametrize("abruptly", [False, True])
async def test_the_end_of_a_connection_is_noticed_at_once_though_its_socket_rests(
    server: RtmpServer, sink: Sink, abruptly: bool
) -> None:
    client = await Client.connect(server)
    await client.publish()
    await client.is_live()
    if abruptly:
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
    else:
        client.audio()
        client.writer.write_eof()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CONNECTION_LOST]
    assert abruptly or sink.arrived.is_set()


@pytest.mark.usefixtures("no_ticks")
async def test_a_goodbye_right_before_the_end_is_read_as_one(server: RtmpServer, sink: Sink) -> None:
    client = await Client.connect(server)
    await client.publish()
    await client.is_live()
    client.command("deleteStream", 4.0, None, 1.0)
    client.writer.close()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CLEAN_STOP]


@pytest.mark.usefixtures("no_ticks")
async def test_much_at_once_is_read_before_the_next_tick(server: RtmpServer, sink: Sink) -> None:
    client = await Client.connect(server)
    await client.publish()
    await client.is_live()
    tag = wire.message(b"\xaf\1" + bytes(100 * 1024), kind=wire.AUDIO)
    client.writer.write(tag * (FULL_BYTES // len(tag) + 1))
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

    with monkeypatch.context() as patched:
        patched.setattr(sink, "audio", defect)
        first.audio()
        await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.INTERNAL_ERROR]
    assert b"An internal error" in await first.is_closed()
    second.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)


async def test_a_channel_that_cannot_even_be_left_costs_one_connection(
    server: RtmpServer, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [await Client.connect(server) for _ in range(3)]
    for client in clients:
        await client.publish()
        await client.is_live()
    broken, goodbye, healthy = clients
    monkeypatch.setattr(sink, "audio", defect)
    monkeypatch.setattr(sink, "left", defect)
    broken.audio()
    assert b"An internal error" in await broken.is_closed()
    goodbye.command("FCUnpublish", 6.0, None, KEY)
    assert b"NetStream.Unpublish.Success" in await goodbye.is_closed()
    monkeypatch.undo()
    healthy.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)


async def test_when_admitting_fails_the_encoder_is_told_and_the_server_goes_on(
    server: RtmpServer, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sink, "admit", defect)
        client = await Client.connect(server)
        await client.publish()
        said = await client.is_closed()
    assert b"NetStream.Publish.Failed" in said and b"NetStream.Publish.Start" not in said
    again = await Client.connect(server)
    await again.publish()
    await again.is_live()


async def test_a_channel_may_end_the_publisher_that_it_is_admitting(
    server: RtmpServer, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def admit(session: PublisherSession, key: str) -> Sink:
        session.end("NetStream.Publish.Denied", "The stream was disabled.", DisconnectReason.DISABLED)
        return sink

    monkeypatch.setattr(sink, "admit", admit)
    client = await Client.connect(server)
    await client.publish()
    client.audio()
    said = await client.is_closed()
    assert b"NetStream.Publish.Denied" in said and b"NetStream.Publish.Start" not in said
    assert sink.reasons == [DisconnectReason.DISABLED]
    assert not sink.arrived.is_set()


async def test_a_goodbye_followed_by_garbage_is_a_goodbye(server: RtmpServer, sink: Sink) -> None:
    client = await Client.connect(server)
    await client.publish()
    await client.is_live()
    goodbye = wire.message(wire.amf("FCUnpublish", 6.0, None, KEY), csid=3, kind=wire.COMMAND)
    client.writer.write(goodbye + b"\xff" * 100)
    await client.is_closed()
    assert sink.reasons == [DisconnectReason.CLEAN_STOP]


GOODBYE = wire.message(wire.amf("FCUnpublish", 3, None, "not the key"), csid=3, kind=wire.COMMAND)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("behind", [GOODBYE, b"\xff" * 50], ids=["goodbye", "garbage"])
def test_refused_and_reset_with_more_behind_in_one_read(
    run: Callable[..., None], behind: bytes, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers cannot be sent any more; it is closed once, and its place given back once."""
    monkeypatch.setattr(session_module, "LINGER_SECONDS", 3600)
    commands = (
        ("connect", 1, {"app": "app"}),
        ("publish", 2, None, "not the key", "live"),
    )
    said = [wire.message(wire.amf(*values), csid=3, kind=wire.COMMAND, stream=1) for values in commands]

    async def story() -> None:
        server = RtmpServer(sink)
        await server.start("127.0.0.1", 0)
        defects: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: defects.append(context))
        for n in range(1, 11):
            with socket.create_connection(server.address) as encoder:
                encoder.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                encoder.sendall(wire.HANDSHAKE + b"".join(said) + behind)
            async with asyncio.timeout(10):
                while server.rejected["unknown_key"] < n:
                    await asyncio.sleep(0.01)
        await asyncio.wait_for(server.close(), 10)
        assert defects == [] and server.rejected == {"unknown_key": 10}

    run(story())


async def test_a_publisher_who_was_held_back_is_heard_to_the_end(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sent a flood, and is ended in the middle of it: that it has gone is noticed at once."""
    monkeypatch.setattr(session_module, "LINGER_SECONDS", 3600)
    server = RtmpServer(sink, limits=Limits(messages_per_second=1, messages_at_once=1))
    await server.start("127.0.0.1", 0)
    client = await Client.connect(server)
    await client.publish()
    await client.is_live()
    client.writer.write(wire.message(b"", kind=wire.AUDIO) + b"\xc4" * 100)
    await asyncio.wait_for(sink.arrived.wait(), 10)
    closing = asyncio.create_task(server.close())
    assert b"restarting" in await client.is_closed()
    client.writer.close()
    await asyncio.wait_for(closing, 10)


class Owner:
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def session_closed(self, session: PublisherSession) -> None:
        self.closed.set()


@pytest.mark.parametrize("key", [KEY, "not the key"])
async def test_who_reads_late_still_hears_all_of_it(sink: Sink, key: str) -> None:
    """What did not fit into the socket is sent when there is room, and only then comes the end."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.setblocking(False)
    owner, ticket = Owner(), Gate(AdmissionLimits()).enter("192.0.2.1")
    assert ticket is not None
    wire_of_ours = Wire(ours, 256 * 1024)
    PublisherSession(
        wire_of_ours,
        ServerConnection(),
        ticket,
        "",
        sink,
        Ticker(),
        owner,
        handshake_by=asyncio.get_running_loop().time() + 10,
    )
    commands = [("connect", 1, {"app": "app"}), *[("FCPublish", 2 + n, None, key) for n in range(80)]]
    commands += [("publish", 100, None, key, "live"), ("FCUnpublish", 101, None, key)]
    told = [wire.message(wire.amf(*values), csid=3, kind=wire.COMMAND, stream=1) for values in commands]
    theirs.sendall(wire.HANDSHAKE + b"".join(told))
    async with asyncio.timeout(10):
        while not wire_of_ours.unsent:
            await asyncio.sleep(0.01)
    client = Client(*await asyncio.open_connection(sock=theirs))
    said = await client.is_closed()
    assert said.count(b"onFCPublish") == 80
    assert (b"NetStream.Unpublish.Success" if key == KEY else b"No stream has this key.") in said
    client.writer.close()
    await asyncio.wait_for(owner.closed.wait(), 10)


async def test_who_never_reads_is_cut_when_too_much_waits_for_it(sink: Sink) -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.setblocking(False)
    gate = Gate(AdmissionLimits())
    owner, ticket = Owner(), gate.enter("192.0.2.1")
    assert ticket is not None
    PublisherSession(
        Wire(ours, 2000),
        ServerConnection(),
        ticket,
        "",
        sink,
        Ticker(),
        owner,
        handshake_by=asyncio.get_running_loop().time() + 10,
    )
    question = wire.message(wire.amf("FCPublish", 2, None, KEY), csid=3, kind=wire.COMMAND, stream=0)
    theirs.sendall(wire.HANDSHAKE + question * 80)
    await asyncio.wait_for(owner.closed.wait(), 10)
    assert gate.rejected == {"max_unsent": 1}
    theirs.close()
