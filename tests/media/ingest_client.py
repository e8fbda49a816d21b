"""A server whose channel only remembers, and an encoder made of bytes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import rtmp_wire as wire

from onair_core.contract import DisconnectReason
from onair_media.ingest.parties import UnknownKey
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.tls import self_signed

KEY = "key-of-the-test-stream"


class Sink:
    def __init__(self) -> None:
        self.reasons: list[DisconnectReason] = []
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()

    def admit(self, session: PublisherSession, key: str) -> Sink:
        if key != KEY:
            raise UnknownKey
        return self

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.arrived.set()

    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.arrived.set()

    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None:
        pass

    def quiet_seconds(self, session: PublisherSession) -> float:
        return 0.0

    def left(self, session: PublisherSession, reason: DisconnectReason) -> None:
        self.reasons.append(reason)
        self.gone.set()


def trusting(*versions: ssl.TLSVersion) -> ssl.SSLContext:
    """For a client that takes any certificate; of these versions, or of all."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if versions:
        context.set_ciphers("ALL:@SECLEVEL=0")  # or the client itself would refuse what is too old
        context.minimum_version = context.maximum_version = versions[0]
    return context


@contextlib.asynccontextmanager
async def serving(sink: Sink, certificate: Path) -> AsyncIterator[RtmpServer]:
    """A server with RTMPS; its self-signed pair lies in the folder `certificate`."""
    server = RtmpServer(sink, self_signed(certificate))
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


class Client:
    """An encoder made of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, server: RtmpServer, tls: ssl.SSLContext | None = None) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", server.address[1], ssl=tls))

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

    async def is_live(self) -> None:
        """The publish was accepted."""
        await asyncio.wait_for(self.reader.readuntil(b"NetStream.Publish.Start"), 10)

    def audio(self) -> None:
        self.writer.write(wire.message(b"\xaf\0", kind=wire.AUDIO))

    async def is_closed(self) -> bytes:
        """What the server still said before it closed the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""
