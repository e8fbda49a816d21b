"""What a good RTMP server survives: connections before a key, publishers with one, and those that take their time.

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
    DATA,
    VIDEO,
    Attack,
    Attacker,
    attacker,
    command,
    connect,
    cut,
    cut_as_publisher,
    first,
    publish,
    published,
    put_up_with,
    silent_after,
)

AVC_RECORD = bytes.fromhex("0142c00bffe1000f6742c00bda0507ec0440000003004001000568ce06e2c8")
SPS_THAT_CRASHED = bytes.fromhex("67640033f6110069d01687a2")  # h264bitstream
CONFIGURED = wire.message(b"\x17\0\0\0\0" + AVC_RECORD, csid=6) + wire.message(b"\xaf\0\x11\x90", kind=AUDIO)
KEY_FRAME = b"\x17\1\0\0\0" + b"\0\0\0\4\x65abc"
FRAME = b"\x27\1\0\0\0" + b"\0\0\0\4\x41abc"
dice = random.Random(1)


def video(body: bytes, time: int = 0) -> bytes:
    return wire.message(body, csid=6, time=time & 0xFFFFFFFF)


def audio(body: bytes, time: int = 0) -> bytes:
    return wire.message(body, kind=AUDIO, time=time & 0xFFFFFFFF)


def begun(csid: int, *, declared: int = 0xFFFFFF, size: int = 128) -> bytes:
    """The first chunk of a message that is not finished."""
    return wire.chunks(bytes(size), csid=csid, declared=declared, size=size)[0]


# Without a key


async def comes_and_goes(it: Attacker) -> None:
    for _ in range(50):
        async with attacker(it.service, it.key):
            pass


async def holds_more_connections_than_an_address_may(it: Attacker) -> None:
    """Two hundred of one address are let in, those beyond are closed at once."""
    async with contextlib.AsyncExitStack() as stack:
        address = "127.9.9.9"
        idle = [await stack.enter_async_context(attacker(it.service, it.key, address=address)) for _ in range(240)]
        over = [asyncio.ensure_future(one.reader.read(1)) for one in idle]
        async with asyncio.timeout(10):
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


# With a key


def configured(*pieces: bytes) -> Attack:
    return published(CONFIGURED, *pieces)


def record(body: bytes) -> Attack:
    """An AVC configuration, and frames behind it."""
    return published(video(b"\x17\0\0\0\0" + body), video(KEY_FRAME, 40), video(FRAME, 80))


def avc_record(sps: bytes, *, length_size: int = 4, pps: bytes = b"\1\0\4\x68\xce\x06\xe2", count: int = 1) -> bytes:
    sets = len(sps).to_bytes(2, "big") + sps
    return b"\1\x64\0\x28" + bytes((0xFC | length_size - 1, 0xE0 | count)) + sets + pps


def with_dialect(*, repeats: bool) -> bytes:
    """A message of three chunks behind an extended timestamp."""
    return wire.message(KEY_FRAME + bytes(300), csid=6, time=0x1000000, repeats=repeats)


async def sends_two_seconds_of_100_mbit_without_a_key_frame(it: Attacker) -> None:
    await it.publish()
    await it.send(wire.set_chunk_size(65_536) + CONFIGURED + video(KEY_FRAME))
    frame = FRAME + dice.randbytes(41_600)
    for number in range(1, 601):  # 300 a second
        await it.send(wire.message(frame, csid=6, time=number * 3333 // 1000, size=65_536))
    await it.says_goodbye()


async def publishes_while_another_does(it: Attacker) -> None:
    """The first goes on, the second hears why not; and the same when the first has gone."""
    await it.publish()
    async with attacker(it.service, it.key) as second:
        await second.connect()
        await second.send(publish(it.key))
        await second.hears(b"Another encoder is publishing")
        await second.is_cut()
    await it.send(CONFIGURED)
    await it.says_goodbye()
    async with attacker(it.service, it.key) as third:
        await third.publish()
        await third.says_goodbye()


async def comes_and_goes_with_a_key(it: Attacker) -> None:
    """A hundred times; the log has them in order and nobody is left over."""
    told: dict[str, str] = {}  # the log forgets the oldest in between

    def look() -> int:
        for event in it.service.events("attacked"):
            told.setdefault(event["id"], event["type"].removeprefix("video.live_stream."))
        return len(told)

    before = look()
    for number in range(100):
        async with attacker(it.service, it.key) as one:
            await one.publish()
            if number % 2:
                await one.send(CONFIGURED + video(KEY_FRAME))
            await one.says_goodbye()
        if number % 5 == 4:
            look()

    def order() -> list[str]:
        look()
        return [kind for kind in list(told.values())[before:] if kind in ("connected", "disconnected")]

    async with asyncio.timeout(20):
        while order().count("disconnected") < 100 or order()[-1] != "disconnected":
            await asyncio.sleep(0.1)
    found = order()[-200:]  # the end of whoever came before may have been written after we began
    assert found == ["connected", "disconnected"] * 100, found


async def loses_its_key_while_live(it: Attacker) -> None:
    await it.publish()
    await it.send(CONFIGURED + video(KEY_FRAME))
    it.service.rotate_key("attacked")
    await it.hears(b"The stream key was reset.")
    await it.is_cut()


async def vanishes_and_returns(it: Attacker) -> None:
    """A reset without a word; the next publish is accepted."""
    await it.publish()
    await it.send(CONFIGURED + video(KEY_FRAME))
    it.writer.transport.abort()
    async with asyncio.timeout(20):
        while True:
            async with attacker(it.service, it.key) as again:
                with contextlib.suppress(AssertionError, asyncio.IncompleteReadError):
                    await again.publish()
                    await again.says_goodbye()
                    return


WITH_KEY: dict[str, Attack] = {
    "12 16 MB on 28 chunk streams, by a publisher": cut_as_publisher(
        wire.set_chunk_size(1_000_000), b"".join(begun(csid, size=1_000_000) for csid in range(64, 92))
    ),
    "16 no length, of every type, by a publisher": configured(
        b"".join(wire.message(b"", csid=9, kind=kind) for kind in range(256) if kind != wire.SET_CHUNK_SIZE)
    ),
    "18 type 3 repeats the extended timestamp": configured(with_dialect(repeats=True)),
    "18 type 3 omits the extended timestamp": configured(with_dialect(repeats=False)),
    "19 timestamps at every edge": configured(
        *(
            video(KEY_FRAME, time) + audio(b"\xaf\1sound", time)
            for time in (0, 0xFFFFFE, 0xFFFFFF, 0x1000000, 2**31 - 1, 2**31, 2**32 - 1, 5, 86_400_000, 4, 2**31 + 9)
        )
    ),
    "19 timestamps from a dice": configured(
        *(video(KEY_FRAME, dice.randrange(2**32)) + audio(b"\xaf\1sound", dice.randrange(2**32)) for _ in range(300))
    ),
    "23 unknown types, by a publisher": configured(
        b"".join(wire.message(b"anything", csid=9, kind=kind) for kind in (255, 16, 19, 15, 17, 22))
    ),
    "24 metadata sixty thousand deep": published(
        wire.message(wire.amf("@setDataFrame", "onMetaData") + b"\3\0\1a" * 60_000, kind=DATA)
    ),
    "24 metadata flood": published(
        wire.message(wire.amf("onMetaData") + b"\n\0\0\x46\x50" + b"\5" * 18_000, kind=DATA) * 30
    ),
    "27 deleteStream and closeStream of another": configured(
        command("deleteStream", 5, None, 7) + command("closeStream", 0, None, stream=7) + video(KEY_FRAME)
    ),
    "27 publish twice, by a publisher": cut_as_publisher(publish("x")),
    "30 an empty record": record(b""),
    "30 no parameter sets": record(b"\1\x64\0\x28\xff\xe0\0"),
    "30 a parameter set past its end": record(b"\1\x64\0\x28\xff\xe1\xff\xff\x67"),
    **{f"30 lengths of {size} bytes": record(avc_record(AVC_RECORD[8:23], length_size=size)) for size in (1, 2, 3)},
    "30 without a picture parameter set": record(avc_record(AVC_RECORD[8:23], pps=b"\0")),
    "31 the parameter set that crashed others": record(avc_record(SPS_THAT_CRASHED)),
    "31 endless codes": record(avc_record(b"\x67\x64\0\x28" + bytes(196))),
    "31 ones for everything": record(avc_record(b"\x67\x64\0\x28" + b"\xff" * 200)),
    "31 codes of 32 bits": record(avc_record(b"\x67\x64\0\x28" + b"\0\0\0\1\xff\xff\xff\xfe" * 30)),
    "32 a unit longer than its frame": configured(video(b"\x17\1\0\0\0\xff\xff\xff\xff\x65abc")),
    "32 a unit of no length": configured(video(b"\x17\1\0\0\0" + bytes(12))),
    "33 an HEVC record with hundreds of arrays": published(
        video(b"\x90hvc1" + b"\1" + bytes(21) + b"\xff" + b"\x20\xff\xff\0\1x" * 255),
        video(b"\x1c\0\0\0\0" + b"\1" + bytes(21) + b"\xff" + b"\x20\xff\xff\0\1x" * 255),
    ),
    "34 media before its configuration": published(video(KEY_FRAME), audio(b"\xaf\1sound"), CONFIGURED),
    "34 AAC of no channels": published(audio(b"\xaf\0\x11\x80"), audio(b"\xaf\1sound")),
    "34 AAC of a wrong object type": published(
        audio(b"\xaf\0\xff\xff\xff"), audio(b"\xaf\0\xf9\x90"), audio(b"\xaf\0")
    ),
    "34 LATM for AAC": published(audio(b"\xaf\1\x56\xe0\x20" + bytes(30))),
    "35 an unknown FourCC": published(video(b"\x90none" + bytes(20)), audio(b"\x90none" + bytes(20))),
    "35 ModEx of 256 and 65536 bytes": published(
        video(b"\x97\xff\0\0" + bytes(300)), video(b"\x97\xff\xff\xff" + bytes(66_000)), video(b"\x97\xff\xff\xff")
    ),
    "35 a multitrack length past its end": published(
        video(b"\x96\x10hvc1\0\xff\xff\xffx"), audio(b"\x95\x11Opus\0\xff\xff")
    ),
    "36 the most negative composition time": configured(video(b"\x17\1\x80\0\0" + KEY_FRAME[5:]), video(FRAME, 40)),
    "37 an empty tag, and the end of the sequence twice": configured(
        video(b""), audio(b""), video(b"\x17"), video(b"\x17\2\0\0\0") * 2, video(KEY_FRAME, 40)
    ),
    "38 a key frame that never comes": configured(*(video(FRAME, number * 40) for number in range(500))),
    "39 100 Mbit/s without a key frame": sends_two_seconds_of_100_mbit_without_a_key_frame,
    "39 frames of one byte, ten thousand in a second": configured(
        video(KEY_FRAME),
        b"".join(video(b"\x27\1\0\0\0x", number // 10) for number in range(3000)),
        b"".join(audio(b"\xaf\1x", number // 10) for number in range(3000)),
    ),
    "39 messages of no length, fifty thousand": configured(wire.message(b"", csid=9), wire.basic_header(3, 9) * 15_000),
    "40 a second publisher": publishes_while_another_does,
    "41 a reset, and back": vanishes_and_returns,
    "42 a hundred publishes": comes_and_goes_with_a_key,
    "noise for media": published(
        *(
            wire.message(
                dice.randbytes(dice.randrange(200)), kind=dice.choice((VIDEO, AUDIO)), time=dice.randrange(2**31)
            )
            for _ in range(2000)
        )
    ),
    "43 its key is reset while it is live": loses_its_key_while_live,
}


# In their own time: all of them begin at once, and each has a deadline


async def trickles(it: Attacker) -> None:
    """A byte each second: what counts is when it began."""
    with contextlib.suppress(ConnectionError):
        for _ in range(30):
            await it.send(b"\3")
            await asyncio.sleep(1)
    await it.is_cut()


async def never_reads(it: Attacker) -> None:
    """A publisher who sends what it should, asks what it may, and reads no answer."""
    await it.publish()
    it.writer.transport.pause_reading()
    ask = command("FCPublish", 3, None, "x" * 1500)
    with contextlib.suppress(ConnectionError):
        for number in range(100):
            await it.send(audio(b"\xaf\1sound", number * 23) + ask)
            await asyncio.sleep(0.1)
    it.writer.transport.resume_reading()
    await it.says_goodbye()


async def is_half_open(it: Attacker) -> None:
    """The first has lost its network; the second, with the same key, is let in when the first was silent for long."""
    await it.publish()
    await it.send(CONFIGURED)
    async with asyncio.timeout(PATIENCE_OF_AN_ENCODER):
        while True:
            async with attacker(it.service, it.key) as again:
                await again.connect()
                await again.send(publish(it.key))
                heard = b""
                while b"Publish.Start" not in heard and b"Publish.BadName" not in heard:
                    heard += await again.reader.readexactly(1)
                if b"Publish.Start" in heard:
                    await again.says_goodbye()
                    break
            await asyncio.sleep(1)
    await it.is_cut()


PATIENCE_OF_AN_ENCODER = 30

SLOW: dict[str, Attack] = {
    "03 a TLS handshake that ends in the middle": silent_after(b"\x16\3\1\2\0\1\0\1\xfc\3\3"),
    "04 half a handshake, then nothing": silent_after(b"\3" + bytes(700)),
    "05 a byte each second": trickles,
    "06 the handshake without its last part": silent_after(b"\3" + bytes(1536)),
    "06 a handshake and no word more": silent_after(wire.HANDSHAKE),
    "06 connect and no word more": silent_after(wire.HANDSHAKE + connect()),
    "22 a publisher who never reads": never_reads,
    "41 half-open, and another comes": is_half_open,
}
