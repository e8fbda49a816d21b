"""What a good RTMP server survives from publishers with a good key whose media is real, and meant to hurt."""

from __future__ import annotations

import asyncio
import contextlib
import time
from urllib.parse import urljoin

import aiohttp
import rtmp_wire as wire
from attackers import Attack, Attacker
from cmaf_frames import h264
from fmp4_rules import runs
from hls_rules import Follower
from viewers import rendition_urls

CHUNK = 65_536
MB = 1_000_000


def video(body: bytes, time: int) -> bytes:
    return wire.message(body, csid=6, time=time, size=CHUNK)


def configuration(width: int, height: int, time: int = 0) -> bytes:
    return video(b"\x17\0\0\0\0" + h264(width, height)[0].record, time)


def key_frame(width: int, height: int, time: int, filler: int = 0) -> bytes:
    """`filler`: bytes of a NAL unit that says nothing."""
    unit = (filler + 1).to_bytes(4, "big") + b"\x0c" + bytes(filler) if filler else b""
    return video(b"\x17\1\0\0\0" + h264(width, height)[1] + unit, time)


def delta_frame(time: int) -> bytes:
    return video(b"\x27\1\0\0\0" + b"\0\0\0\4\x41abc", time)


SOUND = wire.message(b"\xaf\0\x11\x90", kind=wire.AUDIO)


def with_sound(picture: bytes, time: int) -> bytes:
    return picture + wire.message(b"\xaf\1sound", kind=wire.AUDIO, time=time)


# The most that level 6.2 of H.264 has, and a little less.
LARGE = ((8192, 4352), (8176, 4352))
PUMPED_SECONDS = 6.0


async def alternates_between_large_pictures(it: Attacker) -> None:
    """Each configuration with one key frame, over and over; whether it is cut for it is the server's choice."""
    await it.publish()
    with contextlib.suppress(ConnectionError):
        await it.send(wire.set_chunk_size(CHUNK) + configuration(*LARGE[0]))
        for stamp in (0, 1500, 3000):  # packaging has begun
            await it.send(key_frame(*LARGE[0], stamp))
        began, number = time.monotonic(), 0
        while number < 32 or time.monotonic() - began < PUMPED_SECONDS:
            stamp = 3000 + number * 33
            size = LARGE[number % 2]
            await it.send(configuration(*size, stamp) + key_frame(*size, stamp))
            number += 1
    await it.ends_itself()


# The live window of these tests holds 64.
SENT_MB, FRAME_MB = 600, 5


async def fills_the_window_within_a_second(it: Attacker) -> None:
    """Frames of 5 MB, a millisecond of media each; whether it is cut for it is the server's choice."""
    await it.publish()
    with contextlib.suppress(ConnectionError):
        await it.send(wire.set_chunk_size(CHUNK) + configuration(320, 180))
        for stamp in range(SENT_MB // FRAME_MB):
            await it.send(key_frame(320, 180, stamp, filler=FRAME_MB * MB))
    await it.ends_itself()


async def stops_sending_key_frames(it: Attacker) -> None:
    """Until then its segments can be joined, and are said to be; afterwards they are cut by time, and are not."""
    await it.publish()
    await it.send(wire.set_chunk_size(CHUNK) + configuration(64, 48) + SOUND)
    for at in range(0, 4000, 40):
        await it.send(with_sound(delta_frame(at) if at % 1000 else key_frame(64, 48, at), at))
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        url = await _video_playlist(it)
        follower = Follower()
        while not follower.last or len(follower.segments) < 2:
            await _look(session, url, follower)
        assert follower.last.independent, "each begins with a key frame"
        await it.send(b"".join(with_sound(delta_frame(at), at) for at in range(4000, 16_000, 40)))
        while len(follower.segments) < 6:
            await _look(session, url, follower)
        assert not follower.last.independent, "EXT-X-INDEPENDENT-SEGMENTS was not withdrawn"
        joinable = []
        for segment in follower.segments:
            async with session.get(urljoin(url, segment.uri)) as answer:
                joinable.append(runs(await answer.read())[0].begins_with_sync)
        assert joinable[:2] == [True, True] and joinable[-3:] == [False] * 3, joinable
    await it.says_goodbye()


async def _video_playlist(it: Attacker) -> str:
    while True:
        with contextlib.suppress(AssertionError):  # not live yet
            return (await rendition_urls(it.service.playback_url(it.stream)))["video"]
        await asyncio.sleep(0.1)


async def _look(session: aiohttp.ClientSession, url: str, follower: Follower) -> None:
    async with session.get(url) as answer:
        if answer.status == 200:
            follower.see(await answer.text())
    await asyncio.sleep(0.1)


WITH_REAL_MEDIA: dict[str, Attack] = {
    "38 key frames, and then none": stops_sending_key_frames,
    "44 configurations of large pictures by turns": alternates_between_large_pictures,
    "45 more bytes than the live window holds": fills_the_window_within_a_second,
}
