"""What a good RTMP server survives from publishers with a good key, and those of them that take their time.

The numbers are those of the list that the issue on attacks refers to; the names say what is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import random

import rtmp_wire as wire
from attackers import (
    AUDIO,
    DATA,
    MEDIA_SECONDS,
    REPLACED_SECONDS,
    VIDEO,
    Attack,
    Attacker,
    begun,
    command,
    cut_as_publisher,
    publish,
    published,
    told_what_can_be_packaged,
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
    async with it.another() as second:
        await second.connect()
        await second.send(publish(it.key))
        await second.hears(b"Another encoder is publishing")
        await second.is_cut()
    await it.send(CONFIGURED)
    await it.says_goodbye()
    async with it.another() as third:
        await third.publish()
        await third.says_goodbye()


async def comes_and_goes_with_a_key(it: Attacker) -> None:
    """A hundred times, more than it may; the log has those that were let in, in order, and nobody is left over."""
    told: dict[str, str] = {}  # the log forgets the oldest in between

    def look() -> int:
        for event in it.service.events(it.stream):
            told.setdefault(event["id"], event["type"].removeprefix("video.live_stream."))
        return len(told)

    before, let_in = look(), 0
    for number in range(100):
        async with it.another() as one:
            if await one.is_let_in():
                let_in += 1
                if number % 2:
                    await one.send(CONFIGURED + video(KEY_FRAME))
                await one.says_goodbye()
            else:
                await one.is_cut()
        if number % 5 == 4:
            look()

    def order() -> list[str]:
        look()
        return [kind for kind in list(told.values())[before:] if kind in ("connected", "disconnected")]

    async with asyncio.timeout(20):
        while order().count("disconnected") < let_in or order()[-1] != "disconnected":
            await asyncio.sleep(0.1)
    assert 30 <= let_in < 100, let_in
    assert order() == ["connected", "disconnected"] * let_in


async def loses_its_key_while_live(it: Attacker) -> None:
    await it.publish()
    await it.send(CONFIGURED + video(KEY_FRAME))
    it.service.rotate_key(it.stream)
    await it.hears(b"The stream key was reset.")
    await it.is_cut()


async def vanishes_and_returns(it: Attacker) -> None:
    """A reset without a word; the next publish is accepted."""
    await it.publish()
    await it.send(CONFIGURED + video(KEY_FRAME))
    it.writer.transport.abort()
    async with asyncio.timeout(20):
        while True:
            async with it.another() as again:
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
    "35 an unknown FourCC": told_what_can_be_packaged(video(b"\x90none" + bytes(20)), audio(b"\x90none" + bytes(20))),
    "35 ModEx of 256 and 65536 bytes, a FourCC of zeros behind it": told_what_can_be_packaged(
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
    "noise for media": cut_as_publisher(
        *(
            wire.message(
                dice.randbytes(dice.randrange(200)), kind=dice.choice((VIDEO, AUDIO)), time=dice.randrange(2**31)
            )
            for _ in range(2000)
        ),
        command("FCUnpublish", 9, None),
    ),
    "43 its key is reset while it is live": loses_its_key_while_live,
}


# In their own time


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
    turned_away = 0
    async with asyncio.timeout(REPLACED_SECONDS + it.slack):
        while True:
            async with it.another() as again:
                if await again.is_let_in():
                    await again.says_goodbye()
                    break
            turned_away += 1
            await asyncio.sleep(0.5)
    assert turned_away
    await it.is_cut()


async def falls_silent(it: Attacker) -> None:
    await it.publish()
    await it.send(CONFIGURED)
    await it.hears(f"No audio or video came for {MEDIA_SECONDS} s.".encode(), MEDIA_SECONDS)
    await it.is_cut()


SLOW: dict[str, Attack] = {
    "22 a publisher who never reads": never_reads,
    "41 half-open, and another comes": is_half_open,
    "41 a publisher who falls silent": falls_silent,
}
