"""Connections that say what they like to the publishers' port, and what the server then has to do."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import rtmp_wire as wire
from service import PATIENCE, Service

VIDEO, AUDIO, DATA, COMMAND = wire.VIDEO, wire.AUDIO, wire.DATA, wire.COMMAND
# Each attacker has an address of its own, unless a limit per address is what is tested.
_addresses = itertools.count(2)


class Attacker:
    """Its end, by either side, is no error. `key` is that of a stream nobody minds."""

    def __init__(self, service: Service, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.service = service
        self.key = key
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def shake_hands(self) -> None:
        await self.send(b"\3" + bytes(1536))
        await self.reader.readexactly(3073)
        await self.send(bytes(1536))

    async def command(self, *values: object, stream: int = 0) -> None:
        await self.send(command(*values, stream=stream))

    async def connect(self, **properties: object) -> None:
        await self.shake_hands()
        await self.command("connect", 1, {"app": "app", **properties})

    async def publish(self, key: str | None = None) -> None:
        """Returns when the server has accepted it."""
        await self.connect()
        await self.command("createStream", 2, None)
        await self.command("publish", 3, None, self.key if key is None else key, "live", stream=1)
        await self.hears(b"NetStream.Publish.Start")

    async def says_goodbye(self) -> None:
        """The server still follows: it answers, and ends the connection."""
        await self.command("FCUnpublish", 9, None, self.key)
        await self.hears(b"onFCUnpublish")
        await self.is_cut()

    async def hears(self, what: bytes) -> None:
        heard = b""
        async with asyncio.timeout(PATIENCE):
            while what not in heard:
                data = await self.reader.read(65536)
                assert data, f"the server ended it without {what!r}: {heard[-300:]!r}"
                heard += data

    async def is_cut(self) -> None:
        """The server ends it; what it still says is read."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass

    async def floods_until_cut(self, data: bytes) -> None:
        """Never reads; the server has to reset it."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while True:
                    await self.send(data)


Attack = Callable[[Attacker], Awaitable[None]]


def endpoint(service: Service) -> tuple[str, int]:
    assert service.endpoint is not None
    host, _, port = service.endpoint.rtmp.removeprefix("rtmp://").rpartition(":")
    return host, int(port)


@contextlib.asynccontextmanager
async def attacker(
    service: Service, key: str, *, address: str | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Attacker]:
    number = next(_addresses)
    source = address or f"127.1.{number // 250}.{number % 250 + 1}"
    reader, writer = await asyncio.open_connection(*endpoint(service), local_addr=(source, 0), ssl=tls)
    try:
        yield Attacker(service, key, reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


# What they say


def command(*values: object, stream: int = 0, csid: int = 3, kind: int = COMMAND) -> bytes:
    return wire.message(wire.amf(*values), csid=csid, kind=kind, stream=stream)


def connect(**properties: object) -> bytes:
    return command("connect", 1, {"app": "app", **properties})


def publish(key: object) -> bytes:
    return command("publish", 3, None, key, "live", stream=1)


def begun(csid: int, *, declared: int = 0xFFFFFF, size: int = 128) -> bytes:
    """The first chunk of a message that is not finished."""
    return wire.chunks(bytes(size), csid=csid, declared=declared, size=size)[0]


# What must come of it


def first(data: bytes) -> Attack:
    """These are the very first bytes; the server has to end it."""

    async def attack(it: Attacker) -> None:
        await it.send(data)
        await it.is_cut()

    return attack


def cut(data: bytes) -> Attack:
    """Past the handshake, these bytes; the server has to end it."""

    async def attack(it: Attacker) -> None:
        await it.shake_hands()
        with contextlib.suppress(ConnectionError):
            await it.send(data)
        await it.is_cut()

    return attack


def put_up_with(data: bytes) -> Attack:
    """After connect, these bytes; the server still answers."""

    async def attack(it: Attacker) -> None:
        await it.connect()
        await it.send(data)
        await it.command("_checkbw", 77, None)
        await it.hears(wire.amf("_result", 77))

    return attack


def published(*pieces: bytes) -> Attack:
    """As a publisher with a key, these bytes; then the server still knows a goodbye."""

    async def attack(it: Attacker) -> None:
        await it.publish()
        await it.send(b"".join(pieces))
        await it.says_goodbye()

    return attack


def told_what_can_be_packaged(*pieces: bytes) -> Attack:
    """As a publisher with a key, these bytes; the server ends it and says that the codec is not one it packages."""

    async def attack(it: Attacker) -> None:
        await it.publish()
        await it.send(b"".join(pieces))
        await it.hears(b"cannot be packaged")
        await it.is_cut()

    return attack


def cut_as_publisher(*pieces: bytes) -> Attack:
    """As a publisher with a key, these bytes; the server has to end it."""

    async def attack(it: Attacker) -> None:
        await it.publish()
        with contextlib.suppress(ConnectionError):
            await it.send(b"".join(pieces))
        await it.is_cut()

    return attack


async def stays_until_cut(it: Attacker) -> None:
    """Says nothing more."""
    await it.is_cut()


def silent_after(data: bytes) -> Attack:
    """These are the first bytes, then nothing; the server has to end it in its own time."""

    async def attack(it: Attacker) -> None:
        await it.send(data)
        await stays_until_cut(it)

    return attack
