"""What comes to the publishers' port and does not publish is visible in its counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ingest_client import Client, Sink, serving, trusting

from onair_media.ingest.gate import AdmissionLimits
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.tls import self_signed


@pytest.fixture
async def sink() -> Sink:
    return Sink()


@pytest.fixture
async def server(sink: Sink, tmp_path: Path) -> AsyncIterator[RtmpServer]:
    async with serving(sink, tmp_path) as server:
        yield server


async def counted(server: RtmpServer, reason: str) -> None:
    async with asyncio.timeout(10):
        while not server.rejected[reason]:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("abruptly", [False, True])
@pytest.mark.parametrize("after", ["nothing", "a byte", "the handshake", "connect", "the handshake of TLS"])
async def test_who_goes_before_a_publish(server: RtmpServer, after: str, abruptly: bool) -> None:
    client = await Client.connect(server, trusting() if after == "the handshake of TLS" else None)
    if after == "a byte":
        client.writer.write(b"\3")
    elif after in ("the handshake", "connect"):
        await client.shake_hands()
    if after == "connect":
        client.command("connect", 1.0, {"app": "app"})
        await asyncio.wait_for(client.reader.readuntil(b"NetConnection.Connect.Success"), 10)
    if abruptly:
        client.writer.transport.abort()
    else:
        client.writer.close()
    await counted(server, "ended_before_publish")
    assert server.rejected == {"ended_before_publish": 1}


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x00\x05hello", b"\x16garbage that is no TLS record at all"])
async def test_a_tls_handshake_that_fails(server: RtmpServer, said: bytes) -> None:
    client = await Client.connect(server)
    client.writer.write(said)
    await client.is_closed()
    await counted(server, "tls_handshake")
    assert server.rejected == {"tls_handshake": 1}


async def test_who_publishes_and_goes_is_not_counted(server: RtmpServer, sink: Sink) -> None:
    client = await Client.connect(server)
    await client.publish()
    await client.is_live()
    client.writer.close()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert server.rejected == {}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
async def test_a_churn_is_refused_before_its_handshakes(
    sink: Sink, tmp_path: Path, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = self_signed(tmp_path)
    server = RtmpServer(
        sink,
        files,
        admission_limits=AdmissionLimits(connections_per_second_per_address=1, arrival_burst_seconds=3.0),
    )
    await server.start("127.0.0.1", 0)
    monkeypatch.setattr(server._gate, "_clock", lambda: 1000.0)
    for _ in range(3):
        client = await Client.connect(server, trusting() if tls else None)
        client.writer.transport.abort()
    monkeypatch.setattr(files, "context", None)  # nobody asks for it
    fourth = await Client.connect(server)
    fourth.writer.write(b"\x16" if tls else b"\3")
    assert await fourth.is_closed() == b""
    async with asyncio.timeout(10):
        while server.rejected["ended_before_publish"] < 3:
            await asyncio.sleep(0.01)
    assert server.rejected == {"connections_per_second_per_address": 1, "ended_before_publish": 3}
    await server.close()
