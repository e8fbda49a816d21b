"""Whatever the internet throws at port 5222, a healthy publisher and its viewers do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import rtmp_wire as wire
from encoders import FFmpeg
from service import Service, until
from viewers import following

VIDEO, AUDIO = wire.VIDEO, wire.AUDIO
GOOD_RECORD = bytes.fromhex("0142c00bffe1000f6742c00bda0507ec0440000003004001000568ce06e2c8")
# What the server may grow by while all of this goes on: its buffers and the attackers' own streams.
MEMORY_BOUND_MB = 150


class Attacker:
    """A connection that says what it likes; its end, by either side, is no error."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
        await self.send(wire.message(wire.amf(*values), csid=3, kind=wire.COMMAND, stream=stream))

    async def publish(self, key: str) -> None:
        await self.shake_hands()
        await self.command("connect", 1, {"app": "app"})
        await self.command("createStream", 2, None)
        await self.command("publish", 3, None, key, "live", stream=1)

    async def media(self, kind: int, body: bytes, time: int = 0) -> None:
        await self.send(wire.message(body, kind=kind, time=time & 0xFFFFFFFF))

    async def is_cut(self) -> None:
        """The server ends it; what it still says is read."""
        async with asyncio.timeout(20):
            while await self.reader.read(65536):
                pass


@contextlib.asynccontextmanager
async def attacker(service: Service) -> AsyncIterator[Attacker]:
    reader, writer = await asyncio.open_connection(*address(service))
    try:
        yield Attacker(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # cut in the middle of a word
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


Attack = Callable[[Attacker], Awaitable[None]]


def saying(data: bytes) -> Attack:
    """Past the handshake, these bytes; the server has to end it."""

    async def attack(it: Attacker) -> None:
        await it.shake_hands()
        await it.send(data)
        await it.is_cut()

    return attack


def ignored(data: bytes) -> Attack:
    """Past the handshake, these bytes, which cost the server nothing but the drop; then the attacker leaves."""

    async def attack(it: Attacker) -> None:
        await it.shake_hands()
        await it.send(data)

    return attack


def first(data: bytes) -> Attack:
    """These are the very first bytes."""

    async def attack(it: Attacker) -> None:
        await it.send(data)
        await it.is_cut()

    return attack


async def comes_and_goes(it: Attacker) -> None:
    it.writer.close()


async def asks_for_streams_without_end(it: Attacker) -> None:
    await it.shake_hands()
    await it.command("connect", 1, {"app": "app"})
    while True:
        await it.command("createStream", 2, None)


async def pings_and_never_reads(it: Attacker) -> None:
    await it.shake_hands()
    ping = wire.control(wire.USER_CONTROL, b"\0\6\0\0\0\0")
    while True:
        await it.send(ping * 1000)


def with_key(key: str, *bodies: tuple[int, bytes, int]) -> Attack:
    """A publisher whose media is made of these (message type, body, timestamp), and who then leaves."""

    async def attack(it: Attacker) -> None:
        await it.publish(key)
        for kind, body, time in bodies:
            await it.media(kind, body, time)

    return attack


def hostile_media(key: str) -> dict[str, Attack]:
    dice = random.Random(1)
    noise = [
        (dice.choice((VIDEO, AUDIO)), dice.randbytes(dice.randrange(200)), dice.randrange(2**32)) for _ in range(2000)
    ]
    frames = [(VIDEO, b"\x17\0\0\0\0" + GOOD_RECORD, 0), (AUDIO, b"\xaf\0\x11\x90", 0)]
    jumping = [(VIDEO, b"\x17\1\0\0\0" + dice.randbytes(50), dice.randrange(2**32)) for _ in range(500)]
    sounds = [(AUDIO, b"\xaf\1" + dice.randbytes(50), dice.randrange(2**32)) for _ in range(500)]
    mixed = [item for pair in zip(jumping, sounds, strict=True) for item in pair]
    return {
        "noise for media": with_key(key, *noise),
        "an empty record": with_key(key, (VIDEO, b"\x17\0\0\0\0", 0)),
        "a parameter set past its end": with_key(key, (VIDEO, b"\x17\0\0\0\0\1\x64\0\x28\xff\xe1\xff\xff\x67", 0)),
        "endless codes in a parameter set": with_key(
            key, (VIDEO, b"\x17\0\0\0\0\1\x64\0\x28\xff\xe1\0\xc8\x67\x64\0\x28" + bytes(196) + b"\1\0\1\x68", 0)
        ),
        "timestamps from a dice": with_key(key, *frames, *mixed),
        "the most negative composition time": with_key(key, *frames, (VIDEO, b"\x17\1\x80\0\0data", 0)),
        "a hundred frames in one millisecond": with_key(
            key, *frames, *[(VIDEO, b"\x17\1\0\0\0x", 7), (AUDIO, b"\xaf\1x", 7)] * 100
        ),
        "metadata sixty thousand deep": with_key(
            key, (wire.DATA, wire.amf("@setDataFrame", "onMetaData") + b"\3\0\1a" * 60_000, 0)
        ),
    }


HOSTILE_BYTES: dict[str, Attack] = {
    "comes and goes": comes_and_goes,
    "HTTP": first(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "version 0": first(b"\0" + bytes(1536)),
    "TLS that is none": first(b"\x16\3\1\2\0garbage" + bytes(600)),
    "chunk size 0": saying(wire.set_chunk_size(0)),
    "chunk size 2^31": saying(wire.set_chunk_size(2**31)),
    "a type 3 header on a fresh chunk stream": saying(b"\xc4" + bytes(200)),
    "200 messages of 16 MB, none of them finished": saying(
        b"".join(
            wire.basic_header(0, csid) + b"\0\0\0\xff\xff\xff\x09" + bytes(4) + bytes(128) for csid in range(64, 264)
        )
    ),
    "publish before connect": saying(
        wire.message(wire.amf("publish", 1, None, "x", "live"), csid=3, kind=wire.COMMAND, stream=1)
    ),
    "nested sixty thousand deep": ignored(
        wire.message(wire.amf("connect", 1) + b"\3\0\1a" * 60_000, csid=3, kind=wire.COMMAND, stream=0)
    ),
    "a key of sixty thousand bytes": saying(
        wire.message(wire.amf("connect", 1, {"app": "a" * 60_000}), csid=3, kind=wire.COMMAND, stream=0)
    ),
    "createStream without end": asks_for_streams_without_end,
    "pings, and never reads": pings_and_never_reads,
    "noise": ignored(random.Random(2).randbytes(300_000)),
}


def memory_mb(service: Service) -> float:
    status = Path(f"/proc/{service.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def test_a_healthy_stream_does_not_notice(onair_local: Service, ffmpeg: FFmpeg) -> None:
    onair_local.manifests.stream("attacked", reconnectWindowSeconds=0)
    await onair_local.provisioned("attacked")
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    before = memory_mb(onair_local)
    attacks = HOSTILE_BYTES | hostile_media(onair_local.key("attacked"))

    async with following(onair_local.playback_url("keynote")) as followers:
        for _ in range(2):
            for name, attack in attacks.items():
                try:
                    async with asyncio.timeout(30), attacker(onair_local) as it:
                        await attack(it)
                except TimeoutError:
                    raise AssertionError(f"the server does not end: {name}") from None
        idle = [await asyncio.open_connection(*address(onair_local)) for _ in range(150)]
        seen = {name: len(follower.segments) for name, follower in followers.items()}
        await until(lambda: all(len(f.segments) > seen[n] + 1 for n, f in followers.items()), "the stream goes on")
        for _, writer in idle:
            writer.close()
        assert not any(follower.discontinuities for follower in followers.values())

    assert onair_local.types("keynote").count("disconnected") == 0
    assert memory_mb(onair_local) - before < MEMORY_BOUND_MB
    assert "Traceback" not in onair_local.log.read_text(), "nothing was a defect"
    await ffmpeg.stop()


def address(service: Service) -> tuple[str, int]:
    assert service.endpoint is not None
    host, _, port = service.endpoint.rtmp.removeprefix("rtmp://").rpartition(":")
    return host, int(port)
