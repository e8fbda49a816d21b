"""Init segments are made off the event loop: the publisher waits for its own, and nobody else does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest
from channel_stage import E, Stage, config, media_end, told, types, until
from cmaf_frames import h264

from onair_core.contract import Phase, Takeover
from onair_media.ingest.pace import ARRIVALS_AT_ONCE, CODECS_AT_ONCE


class Gate(Executor):
    """Makes what it is given when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.made = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def open(self) -> None:
        for future, make in self.waiting:
            self.made += 1
            future.set_result(make())
        self.waiting.clear()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def stage(tmp_path: Path, gate: Gate) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, gate)
    await stage.start()
    yield stage
    await stage.stop()


async def test_a_publisher_waits_for_its_init_segment_and_loses_nothing(stage: Stage, gate: Gate) -> None:
    channel = await stage.channel(config())
    encoder = await stage.encoder()
    encoder.send(8)
    await until(lambda: gate.waiting)
    assert channel.connected and media_end(channel) == 0
    gate.open()
    await until(lambda: channel.phase is Phase.ACTIVE)
    await until(lambda: media_end(channel) >= 5.5)
    assert gate.made == 1 and not channel.dropped


async def test_a_publisher_without_sound_loses_nothing_either(stage: Stage, gate: Gate) -> None:
    channel = await stage.channel(config())
    encoder = await stage.encoder()
    header, picture = h264()
    encoder.picture(b"\x17\0\0\0\0" + header.record)
    for number in range(200):
        encoder.picture((b"\x27" if number % 25 else b"\x17") + b"\1\0\0\0" + picture)
    await until(lambda: gate.waiting)
    gate.open()
    await until(lambda: channel.phase is Phase.ACTIVE)
    assert not channel.dropped


async def test_who_is_cut_while_it_is_made_is_not_waited_for(stage: Stage, gate: Gate) -> None:
    channel = await stage.channel(config())
    encoder = await stage.encoder()
    encoder.send(1)
    await until(lambda: gate.waiting)
    await stage.channel(config(disabled=True))
    await told(channel, E.STREAM_IDLE)
    gate.open()
    assert not channel.connected


async def test_a_publisher_that_changes_its_configuration_all_the_time_is_cut(stage: Stage) -> None:
    stage.host._studio.inits = None
    channel = await stage.channel(config())
    encoder = await stage.live(channel, 4)
    sizes = [h264(64, 48), h264(80, 64)]
    for change in range(1, 40):
        header, picture = sizes[change % 2]
        encoder.picture(b"\x17\0\0\0\0" + header.record)
        encoder.picture(b"\x17\1\0\0\0" + picture)
        encoder.sound()
    await encoder.closed()
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "TooManyDiscontinuities"
    (said,) = encoder.said("NetStream.Publish.Failed")
    assert "configuration" in said


async def test_a_publisher_that_changes_its_codec_all_the_time_is_cut(stage: Stage) -> None:
    """Each change is a broadcast of its own: asset, events, webhooks."""
    stage.host._studio.inits = None
    channel = await stage.channel(config())
    encoder = await stage.live(channel, 4)
    for _ in range(20):
        encoder.audio_header(b"\x90OpusOpusHead\1\2\x38\1\x80\xbb\0\0\0\0\0")
        encoder.audio_header(b"\xaf\0\x11\x90")
    await encoder.closed()
    assert encoder.said("NetStream.Publish.Failed") == ["Codec or tracks changed too often."]
    assert types(channel).count(E.STREAM_CONNECTED) <= 1 + CODECS_AT_ONCE
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"]


async def test_publishers_that_come_and_go_all_the_time_have_to_wait(stage: Stage) -> None:
    channel = await stage.channel(config(takeover=Takeover.NEWEST))
    heard = []
    for _ in range(ARRIVALS_AT_ONCE + 10):
        encoder = await stage.encoder()
        heard += encoder.said("NetStream.Publish.BadName")
        await encoder.drop()
    assert heard and set(heard) == {"Too many publishers came in a short time; wait a moment."}
    assert types(channel).count(E.STREAM_CONNECTED) < ARRIVALS_AT_ONCE + 10
