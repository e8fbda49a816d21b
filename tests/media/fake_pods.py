"""Control ports that do what no ingest pod does, and who listens to the followers."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from onair_core.contract import Cursor, EventType, JournalEvent, StreamRef
from onair_operator.desired.control_access import control_access
from onair_operator.desired.naming import Incarnation
from onair_operator.pods.client import Address

ROOT = bytes(range(32))
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
"""The head of an answer whose body ends with the connection."""


class FakePod:
    """TLS that the operator trusts; `answer(request line, writer)` says anything, then the connection ends."""

    def __init__(self, folder: Path, name: str, answer: Callable[[str, Connection], Awaitable[None]]) -> None:
        self.stream = StreamRef("events", name, f"uid-of-{name}")
        self.access = control_access(ROOT, Incarnation(self.stream.uid, 1))
        self.requests: list[str] = []
        self._answer = answer
        self._pem = folder / f"{name}.pem"
        self._pem.write_text(self.access.certificate + self.access.private_key)
        self.address: Address = ("", 0)

    @contextlib.asynccontextmanager
    async def serving(self, host: str = "127.0.0.1") -> AsyncIterator[FakePod]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pem)
        server = await asyncio.start_server(self._serve, host, 0, ssl=context)
        self.address = server.sockets[0].getsockname()[:2]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            await self._answer(head.splitlines()[0], Connection(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass  # the operator has had enough, or the test has
        finally:
            writer.transport.abort()


class Connection:
    """What a fake pod says on it; `sent` counts the bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.sent = 0

    async def say(self, content: bytes) -> None:
        """Raises `ConnectionError` when the operator has gone."""
        self._writer.write(content)
        self.sent += len(content)
        await self._writer.drain()
        await asyncio.sleep(0)  # the operator is in this loop, too
        if self._reader.at_eof() or self._writer.is_closing():
            raise ConnectionResetError

    async def ended(self) -> None:
        """The operator closes the connection."""
        while await self._reader.read(65536):
            pass


class News:
    """The followers' `on_news`."""

    def __init__(self) -> None:
        self.heard: list[StreamRef] = []
        self._again = asyncio.Event()

    def __call__(self, stream: StreamRef) -> None:
        self.heard.append(stream)
        self._again.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Looks only when there is news: what makes it true has to have been told."""
        async with asyncio.timeout(60):
            while not condition():
                self._again.clear()
                await self._again.wait()


def event(epoch: int, n: int, **data: object) -> JournalEvent:
    return JournalEvent(epoch=epoch, n=n, type=EventType.STREAM_WARNING, at=1.7e9, data=data)


def lines(*events: JournalEvent) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in events)


def cursor(one: JournalEvent) -> Cursor:
    return Cursor(one.epoch, one.n)
