"""Between an encoder and the server: what the server says is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from onair_media import amf0
from onair_media.rtmp import Limits
from onair_media.rtmp.chunks import ChunkReader

HANDSHAKE_BYTES = 1 + 2 * 1536
COMMAND = 20


@dataclass
class Wiretap:
    """`url` is what the encoder is to be given."""

    url: str
    heard: bytearray = field(default_factory=bytearray)

    def connect_answer(self) -> dict[str, object]:
        """The properties of the server: the first object of `_result` to `connect`."""
        reader = ChunkReader(Limits())
        reader.feed(bytes(self.heard[HANDSHAKE_BYTES:]))
        for message in reader.messages():
            if message.type == COMMAND:
                name, transaction, properties, *_ = amf0.decode(message.payload)
                if (name, transaction) == ("_result", 1.0):
                    assert isinstance(properties, dict)
                    return properties
        raise AssertionError("connect was not answered")


@asynccontextmanager
async def wiretap(url: str) -> AsyncIterator[Wiretap]:
    parts = urlsplit(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                kept += data
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(carry(reader, back, bytearray()), carry(there, writer, tap.heard))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tap = Wiretap(parts._replace(netloc=f"127.0.0.1:{port}").geturl())
        yield tap
