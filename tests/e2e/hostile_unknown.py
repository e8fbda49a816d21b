"""What a good RTMP server survives from connections that have no key, and those of them that take their time.

The numbers are those of the list that the issue on attacks refers to; the names say what is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import rtmp_wire as wire
from attackers import (
    AUDIO,
    COMMAND,
    HANDSHAKE_SECONDS,
    PUBLISH_SECONDS,
    Attack,
    Attacker,
    begun,
    command,
    connect,
    cut,
    first,
    publish,
    put_up_with,
    silent_after,
)


async def comes_and_goes(it: Attacker) -> None:
    for _ in range(50):
        async with it.another():
            pass


async def holds_more_connections_than_an_address_may(it: Attacker) -> None:
    """Two hundred of one address are let in, those beyond are closed at once."""
    async with contextlib.AsyncExitStack() as stack:
        address = "127.9.9.9"
        idle = [await stack.enter_async_context(it.another(address=address)) for _ in range(240)]
        over = [asyncio.ensure_future(one.reader.read(1)) for one in idle]
        async with asyncio.timeout(it.slack):
            while sum(ended.done() for ended in over) < 40:
                await asyncio.sleep(0.05)
        assert sum(ended.done() for ended in over) == 40
        for waiting in over:
            waiting.cancel()
        await asyncio.gather(*over, return_exceptions=True)


async def asks_for_streams_without_end(it: Attacker) -> None:
    await it.connect()
    await it.floods_until_cut(command("createStream", 2, None))


def flood(data: bytes) -> Attack:
    async def attack(it: Attacker) -> None:
        await it.shake_hands()
        await it.floods_until_cut(data)

    return attack


async def says_a_key_with_a_token(it: Attacker) -> None:
    await it.connect()
    await it.command("publish", 3, None, "guess-of-a-key?token=SECRET-OF-SOMEBODY", "live", stream=1)
    await it.is_cut()
    log = it.service.log.read_text()
    assert "SECRET-OF-SOMEBODY" not in log and "guess-of-a-key" not in log


def named(name: str) -> Attack:
    return cut(connect() + publish(name))


WITHOUT_KEY: dict[str, Attack] = {
    "01 connect and close, fifty times": comes_and_goes,
    "02 version 0": first(b"\0" + bytes(1536)),
    "02 version 6": first(b"\6" + bytes(1536)),
    "02 version 127": first(b"\x7f" + bytes(1536)),
    "03 HTTP": first(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "03 the header of a load balancer's PROXY protocol": first(b"PROXY TCP4 127.0.0.1 127.0.0.1 5 5222\r\n"),
    "03 the same in its binary form": first(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"),
    "03 TLS that is none": first(b"\x16\3\1\2\0garbage" + bytes(600)),
    "07 more idle connections than an address may have": holds_more_connections_than_an_address_may,
    "08 chunk size 0": cut(wire.set_chunk_size(0)),
    "09 chunk size 1": cut(wire.set_chunk_size(1)),
    "10 chunk size with the high bit": cut(wire.set_chunk_size(0x80000000)),
    "10 chunk size 2^31-1 is no allocation": put_up_with(wire.set_chunk_size(0x7FFFFFFF)),
    "10 chunk size 2^31-1 and a message of 16 MB": cut(wire.set_chunk_size(0x7FFFFFFF) + begun(400, size=100_000)),
    **{f"11 set chunk size of {size} bytes": cut(wire.control(wire.SET_CHUNK_SIZE, bytes(size))) for size in range(4)},
    "12 16 MB on 28 chunk streams": cut(b"".join(begun(csid) for csid in range(64, 92))),
    "12 16 MB on 200 chunk streams": cut(b"".join(begun(csid) for csid in range(64, 264))),
    "12 16 MB on all chunk streams": cut(b"".join(begun(csid) for csid in range(64, 65_600))),
    "12 200 KB on 28 chunk streams, none finished": cut(
        wire.set_chunk_size(60_000) + b"".join(begun(csid, declared=200_000, size=60_000) for csid in range(64, 92))
    ),
    "13 type 1 first": put_up_with(wire.message(b"", fmt=1, csid=9, kind=wire.USER_CONTROL)),
    "13 type 2 first": cut(wire.basic_header(2, 9) + bytes(200)),
    "13 type 3 first": cut(wire.basic_header(3, 9) + bytes(200)),
    "14 type 0 in the middle of a message": cut(begun(9, declared=5000) + begun(9, declared=5000) + bytes(6000)),
    "14 another length in the middle of a message": cut(
        begun(9, declared=5000) + wire.chunks(bytes(6000), fmt=1, csid=9, declared=6000, size=6000)[0]
    ),
    "14 another type in the middle of a message": cut(
        begun(9, declared=5000) + wire.chunks(bytes(6000), fmt=1, csid=9, kind=AUDIO, declared=5000, size=6000)[0]
    ),
    "15 abort in the middle of a message": put_up_with((begun(400, declared=5000) + wire.abort(400)) * 5),
    "16 no length, of every type": put_up_with(
        b"".join(wire.message(b"", csid=9, kind=kind) for kind in range(256) if kind != wire.SET_CHUNK_SIZE)
    ),
    "16 no length, without end": flood(wire.message(b"", csid=9) + wire.basic_header(3, 9) * 50_000),
    "17 all ways to write a chunk stream's number": put_up_with(
        b"".join(wire.message(b"", csid=csid, kind=200) for csid in (2, 3, 63, 64, 319, 320, 65_599))
    ),
    "17 all chunk streams": cut(b"".join(wire.message(b"", csid=csid, kind=200) for csid in range(2, 65_600))),
    "20 window 0, no acknowledgement, nonsense for a bandwidth": put_up_with(
        wire.control(wire.WINDOW_ACK_SIZE, bytes(4)) + wire.control(wire.PEER_BANDWIDTH, b"\xff" * 5) * 3
    ),
    "21 ping flood": flood(wire.control(wire.USER_CONTROL, b"\0\6\0\0\0\0") * 1000),
    "21 pong flood": flood(wire.control(wire.USER_CONTROL, b"\0\7\0\0\0\0") * 1000),
    "21 set chunk size flood": flood((wire.set_chunk_size(128) + wire.set_chunk_size(4096)) * 500),
    "21 command flood": flood(command("_checkbw", 5, None) * 500),
    "23 a player": cut(connect() + command("createStream", 2, None) + command("play", 3, None, "x", stream=1)),
    "23 unknown types": put_up_with(
        b"".join(wire.message(b"anything", csid=9, kind=kind) for kind in (255, 16, 19, 15, 17, 22))
    ),
    "24 connect with sixty thousand objects in each other": cut(
        wire.message(wire.amf("connect", 1) + b"\3\0\1a" * 60_000, csid=3, kind=COMMAND, stream=0) + publish("x")
    ),
    "24 connect with sixty thousand arrays in each other": cut(
        wire.message(wire.amf("connect", 1) + b"\n\0\0\0\1" * 50_000, csid=3, kind=COMMAND, stream=0) + publish("x")
    ),
    **{
        f"25 {name}": put_up_with(
            wire.message(wire.amf("call", 5.0) + body, csid=3, kind=COMMAND) + command("_checkbw", float("nan"), None)
        )
        for name, body in {
            "an array of 2^32-1": b"\n\xff\xff\xff\xff",
            "a string of 4 GB": b"\x0c\xff\xff\xff\xff",
            "a truncated string": b"\2\0\x20conn",
            "a reference to itself": b"\3\0\1a\7\0\0\0\0\t",
            "text that is not UTF-8": b"\2\0\4\xff\xfe\xc0\x80",
            "a date, XML, a typed object and AMF3": b"\x0b" + bytes(10) + b"\x0f\0\0\0\1x\x10\0\1T\0\0\t\x11\n",
            "nulls without number": b"\5" * 100_000,
        }.items()
    },
    "26 connect without an application": cut(command("connect", 1, {})),
    "26 connect without a URL": cut(command("connect", 1, {"app": "app"}) + publish("x")),
    "26 a URL of 60 KB": cut(connect(tcUrl="rtmp://" + "x" * 60_000) + publish("x")),
    "26 an application of 60 KB": cut(command("connect", 1, {"app": "a" * 60_000})),
    "27 publish before connect": cut(publish("x")),
    "27 publish before createStream": cut(connect() + publish("x")),
    "27 createStream without end": asks_for_streams_without_end,
    "27 publish twice": cut(connect() + publish("x") + publish("x")),
    "28 a name that is a path": named("../../etc/passwd"),
    "28 a name with NUL": named("a\0b"),
    "28 a name of 60 KB": named("x" * 60_000),
    "28 a name in Unicode": named("ключ-🔑-\u202e"),
    "28 a name that is a query": named("?token=x"),
    "28 a name with escapes": named("%2e%2e%2f"),
    "28 a name that is empty": named(""),
    "28 a name that is a number": cut(connect() + publish(7.0)),
    "29 tokens are not logged": says_a_key_with_a_token,
    "noise": cut(random.Random(2).randbytes(300_000)),
}


# In their own time: all of them begin at once, and each has a deadline


async def trickles(it: Attacker) -> None:
    """A byte each second: what counts is when it began."""

    async def say() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await it.send(b"\3")
                await asyncio.sleep(1)

    saying = asyncio.create_task(say())
    await it.is_cut(HANDSHAKE_SECONDS)
    saying.cancel()


SLOW: dict[str, Attack] = {
    "03 a TLS handshake that ends in the middle": silent_after(b"\x16\3\1\2\0\1\0\1\xfc\3\3", HANDSHAKE_SECONDS),
    "04 half a handshake, then nothing": silent_after(b"\3" + bytes(700), HANDSHAKE_SECONDS),
    "05 a byte each second": trickles,
    "06 the handshake without its last part": silent_after(b"\3" + bytes(1536), HANDSHAKE_SECONDS),
    "06 a handshake and no word more": silent_after(wire.HANDSHAKE, PUBLISH_SECONDS),
    "06 connect and no word more": silent_after(wire.HANDSHAKE + connect(), PUBLISH_SECONDS),
}
