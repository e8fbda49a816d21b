"""Sockets of live publishers that rest: they call by themselves, and where they cannot, the tick is enough."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import rtmp_wire as wire
from ingest_client import Client, Sink, serving, trusting

from onair_core.contract import DisconnectReason
from onair_media.ingest import rests as rests_module
from onair_media.ingest.rests import FULL_BYTES, MAX_UNMARKED_TICKS
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.ticker import Ticker
from onair_media.ingest.wire import Wire

MUCH = wire.message(b"\xaf\1" + bytes(100 * 1024), kind=wire.AUDIO)


class Quiet(Sink):
    """Nothing can come of what a publisher sends, for a long time."""

    def quiet_seconds(self, session: PublisherSession) -> float:
        return 60.0


@pytest.fixture(autouse=True)
def warm(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may rest from the beginning."""
    monkeypatch.setattr(rests_module, "WARM_SECONDS", 0.0)


@pytest.fixture
async def sink() -> Sink:
    return Quiet()


@pytest.fixture
async def server(sink: Sink, tmp_path: Path) -> AsyncIterator[RtmpServer]:
    async with serving(sink, tmp_path) as server:
        yield server


@pytest.fixture
def no_ticks(server: RtmpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read because a tick is due."""
    monkeypatch.setattr(server, "_ticker", Ticker(3600))


async def live(server: RtmpServer, *, tls: bool = False) -> tuple[Client, PublisherSession]:
    client = await Client.connect(server, trusting() if tls else None)
    await client.publish()
    await client.is_live()
    (session,) = server._sessions
    return client, session


async def rests(server: RtmpServer, client: Client, sink: Sink, session: PublisherSession) -> int:
    """It has sent a little, and is left alone for so many ticks."""
    client.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)
    async with asyncio.timeout(10):
        while not (rest := server._ticker._members[session]):
            await asyncio.sleep(0.001)
    return rest


@pytest.mark.usefixtures("no_ticks")
async def test_a_tls_socket_calls_when_it_holds_much(server: RtmpServer, sink: Sink) -> None:
    client, session = await live(server, tls=True)
    assert session._rests.asks and session._watching
    client.writer.write(MUCH * (FULL_BYTES // len(MUCH) + 1))
    await asyncio.wait_for(sink.arrived.wait(), 10)


@pytest.mark.usefixtures("no_ticks")
@pytest.mark.parametrize("goodbye", [False, True])
async def test_the_end_of_a_tls_connection_is_noticed_at_once(server: RtmpServer, sink: Sink, goodbye: bool) -> None:
    client, _ = await live(server, tls=True)
    if goodbye:
        client.command("deleteStream", 4.0, None, 1.0)
    client.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)  # as encoders do; asyncio waits for our goodbye
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CLEAN_STOP if goodbye else DisconnectReason.CONNECTION_LOST]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_goodbye_that_comes_alone_is_heard_when_the_rest_is_over(
    server: RtmpServer, sink: Sink, tls: bool
) -> None:
    client, session = await live(server, tls=tls)
    assert await rests(server, client, sink, session)
    client.command("deleteStream", 4.0, None, 1.0)
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CLEAN_STOP]


async def test_where_sockets_take_no_mark_the_tick_alone_reads(
    server: RtmpServer, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "wake_at", lambda *_: False)
    client, session = await live(server)
    assert not session._watching, "or each packet would wake it"
    assert 1 <= await rests(server, client, sink, session) <= MAX_UNMARKED_TICKS
    assert not session._watching
    client.writer.close()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CONNECTION_LOST]


async def test_where_sockets_do_not_keep_to_the_mark_the_tick_alone_reads(
    server: RtmpServer, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "wake_at", lambda *_: True)
    client, session = await live(server)
    async with asyncio.timeout(10):
        while session._watching:
            sink.arrived.clear()
            client.audio()
            await sink.arrived.wait()
    sink.arrived.clear()
    client.audio()
    await asyncio.wait_for(sink.arrived.wait(), 10)


class Deaf(socket.socket):
    """Takes every mark, and keeps none."""

    def setsockopt(self, *_: object) -> None:  # type: ignore[override]
        pass


class Strange(socket.socket):
    """Does not know what a mark is."""

    def setsockopt(self, *_: object) -> None:  # type: ignore[override]
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")


@pytest.mark.parametrize(("kind", "taken"), [(socket.socket, True), (Deaf, False), (Strange, False)])
def test_a_mark_is_read_back(kind: type[socket.socket], taken: bool) -> None:
    with kind() as sock:
        assert Wire(sock, 1024).wake_at(FULL_BYTES) is taken
