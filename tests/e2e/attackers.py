"""Connections that say what they like to the publishers' port, and what the server then has to do."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import rtmp_wire as wire
from service import Service

VIDEO, AUDIO, DATA, COMMAND = wire.VIDEO, wire.AUDIO, wire.DATA, wire.COMMAND
# What the class of these tests sets: shorter and less than by default, for the sake of the tests' time.
WINDOW_MIB = 64
HANDSHAKE_SECONDS, PUBLISH_SECONDS, MEDIA_SECONDS, REPLACED_SECONDS = 3, 5, 7, 4
SETTINGS = {
    "packaging": {"liveWindowMebibytes": WINDOW_MIB},
    "ingest": {"publisherTimeoutSeconds": REPLACED_SECONDS},
    "limits": {
        "handshakeTimeoutSeconds": HANDSHAKE_SECONDS,
        "publishTimeoutSeconds": PUBLISH_SECONDS,
        "mediaTimeoutSeconds": MEDIA_SECONDS,
    },
}
# What breaks the protocol is ended in the turn that reads it. What is added to this and to each deadline is for two
# cores that attackers, encoder, viewer and server share; when all attack at once, for their waiting on one another.
AT_ONCE = 0.0
ALONE_SECONDS, TOGETHER_SECONDS = 3.0, 15.0
# After its last words a server reads on for so long, for whoever has not read them yet.
LINGER_SECONDS = 2.0
# For an answer: what comes before it may be more than a connection may say in a second.
ANSWER_SECONDS = 7.0
# Each attacker has an address of its own, unless a limit per address is what is tested.
_addresses = itertools.count(2)


class Attacker:
    """Its end, by either side, is no error. `stream` is one that nobody minds. `slack`: seconds beyond any deadline."""

    def __init__(
        self, service: Service, stream: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slack: float
    ) -> None:
        self.service = service
        self.stream = stream
        self.key = service.key(stream)
        self.reader = reader
        self.writer = writer
        self.slack = slack

    def another(self, *, address: str | None = None) -> contextlib.AbstractAsyncContextManager[Attacker]:
        """One more connection, with the same key."""
        return attacker(self.service, self.stream, slack=self.slack, address=address)

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

    async def is_let_in(self) -> bool:
        """Asks to publish; whether it may."""
        await self.connect()
        await self.send(publish(self.key))
        heard = b""
        async with asyncio.timeout(ANSWER_SECONDS + self.slack):
            while b"Publish.Start" not in heard and b"Publish.BadName" not in heard:
                heard += await self.reader.readexactly(1)
        return b"Publish.Start" in heard

    async def says_goodbye(self) -> None:
        """The server still follows: it answers, and ends the connection."""
        await self.command("FCUnpublish", 9, None, self.key)
        await self.hears(b"onFCUnpublish")
        await self.is_cut()

    async def ends_itself(self) -> None:
        """Returns when the server has heard it, or had ended it before."""
        with contextlib.suppress(ConnectionError):
            await self.command("FCUnpublish", 9, None, self.key)
        async with asyncio.timeout(ANSWER_SECONDS + self.slack):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass

    async def hears(self, what: bytes, within: float = ANSWER_SECONDS) -> None:
        heard = b""
        async with asyncio.timeout(within + self.slack):
            while what not in heard:
                data = await self.reader.read(65536)
                assert data, f"the server ended it without {what!r}: {heard[-300:]!r}"
                heard += data

    async def is_cut(self, deadline: float = AT_ONCE) -> None:
        """The server ends it when `deadline` seconds from now are over, and not before; what it still says is read."""
        began = time.monotonic()
        async with asyncio.timeout(deadline + self.slack):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
        # What it counts from may have been up to a second ago.
        assert time.monotonic() - began > deadline - 1, "it was cut before its time"

    async def floods_until_cut(self, data: bytes) -> None:
        """Never reads; the server has to reset it."""
        async with asyncio.timeout(LINGER_SECONDS + self.slack):
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
    service: Service,
    stream: str,
    *,
    slack: float = ALONE_SECONDS,
    address: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Attacker]:
    number = next(_addresses)
    source = address or f"127.1.{number // 250}.{number % 250 + 1}"
    reader, writer = await asyncio.open_connection(*endpoint(service), local_addr=(source, 0), ssl=tls)
    try:
        yield Attacker(service, stream, reader, writer, slack)
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


def silent_after(data: bytes, deadline: float) -> Attack:
    """These are the first bytes, then nothing; the server has to end it in its own time."""

    async def attack(it: Attacker) -> None:
        await it.send(data)
        await it.is_cut(deadline)

    return attack
