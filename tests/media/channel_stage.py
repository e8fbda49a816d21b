"""Real channels behind a real publishers' port, and encoders of bytes: everything but the control plane."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest
import rtmp_wire as wire
from cmaf_frames import AAC, AAC_FRAME_MS, h264, inter_picture

from onair_core.contract import (
    AssetSettings,
    ChannelConfig,
    EventType,
    JournalEvent,
    PlaybackEntry,
    StoreSettings,
    StreamRef,
)
from onair_media import amf0
from onair_media.ingest import session
from onair_media.ingest.channel import Channel
from onair_media.ingest.host import ChannelHost
from onair_media.ingest.server import RtmpServer
from onair_media.recording import Recording
from onair_media.rtmp import Limits
from onair_media.rtmp.chunks import ChunkReader

KEY = "key-of-the-test-stream"
E = EventType
GOING_LIVE = [E.STREAM_CONNECTED, E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_ACTIVE, E.ASSET_READY]
THE_END = [E.STREAM_IDLE, E.ASSET_COMPLETED]
CHUNK = 65536


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def config(name: str = "a", key: str = KEY, *, recordings: Path | None = None, **options: Any) -> ChannelConfig:
    """`recordings`: the folder of the store; None: nothing is recorded."""
    store = None if recordings is None else StoreSettings(url=f"file://{recordings}")
    options.setdefault("asset", AssetSettings(store=store))
    return ChannelConfig(
        stream=StreamRef("tests", name, f"uid-of-{name}"),
        keys=(key,),
        key_generation=key,
        playback=(PlaybackEntry("main", f"playback-of-{name}"),),
        **options,
    )


class Stage:
    """One process's worth of ingest on `folder`; `inits`: who makes init segments, if not the event loop."""

    def __init__(self, folder: Path, inits: Executor | None = None) -> None:
        self.folder = folder
        self.inits = inits
        self.finished: list[Recording] = []
        self.host: ChannelHost
        self.server: RtmpServer

    async def start(self) -> None:
        (self.folder / "ingest").mkdir(parents=True, exist_ok=True)
        self.host = ChannelHost(
            self.folder / "ingest", on_journal=lambda _: None, on_finished=self.finished.append, inits=self.inits
        )
        await self.host.start()
        self.server = RtmpServer(self.host)
        await self.server.start("127.0.0.1", 0)

    async def stop(self) -> None:
        await self.server.close()
        await self.host.stop()

    async def channel(self, given: ChannelConfig, after: tuple[int, int] = (0, 0)) -> Channel:
        await self.host.configure(given, after)
        channel = self.host.channel(given.stream)
        assert channel is not None
        return channel

    async def encoder(self, key: str = KEY) -> Encoder:
        """Publishes; see `Encoder.accepted` for what came of it."""
        encoder = Encoder(*await asyncio.open_connection(*self.server.address))
        await encoder.publish(key)
        return encoder

    async def live(self, channel: Channel, seconds: float = 8) -> Encoder:
        """An encoder whose media is all there: in the live window, and in the store if it is recorded."""
        encoder = await self.encoder(channel.config.keys[0])
        assert encoder.accepted
        encoder.send(seconds)
        recorded = channel.broadcast is not None and channel.broadcast.recording
        await until(lambda: (E.ASSET_READY if recorded else E.STREAM_ACTIVE) in types(channel))
        complete = seconds - 2.5  # the open segment is not
        await until(lambda: media_end(channel) >= complete)
        recording = channel._production._recording
        await until(lambda: recording is None or recording.media_end >= complete)
        return encoder


class Stages:
    """The processes of one test, one after the other."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._numbers = itertools.count(1)
        self._open: list[Stage] = []

    async def start(self, folder: Path | None = None) -> Stage:
        # Each process counts its connections from 1.
        self._monkeypatch.setattr(session, "_connection_numbers", itertools.count(1))
        stage = Stage(folder or self._folder / f"process-{next(self._numbers)}")
        await stage.start()
        self._open.append(stage)
        return stage

    async def kill(self, stage: Stage) -> Stage:
        """The next process, which finds what is on disk at this moment."""
        folder = self._folder / f"process-{next(self._numbers)}"
        shutil.copytree(stage.folder, folder)
        await self.stop(stage)
        return await self.start(folder)

    async def restart(self, stage: Stage) -> Stage:
        """The next process, after the one before was asked to end."""
        await self.stop(stage)
        return await self.start(stage.folder)

    async def stop(self, stage: Stage) -> None:
        self._open.remove(stage)
        await stage.stop()

    async def close(self) -> None:
        for stage in list(self._open):
            await self.stop(stage)


class Encoder:
    """A publisher's connection: 25 pictures a second, an IDR each second, sound."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.answers: list[list[Any]] = []
        self._reader, self._writer = reader, writer
        self._chunks = ChunkReader(Limits())
        self._at = 0.0  # milliseconds
        self._listening: asyncio.Task[None] | None = None
        self.gone = asyncio.Event()

    async def publish(self, key: str) -> None:
        self._writer.write(b"\3" + bytes(1536))
        await self._reader.readexactly(3073)
        self._writer.write(bytes(1536) + wire.set_chunk_size(CHUNK))
        self._listening = asyncio.create_task(self._listen())
        self._command("connect", 1, {"app": "app"})
        self._command("createStream", 2, None)
        self._command("publish", 3, None, key, "live", stream=1)
        await until(lambda: self.said("NetStream.Publish") or self.gone.is_set())

    @property
    def accepted(self) -> bool:
        return bool(self.said("NetStream.Publish.Start"))

    def said(self, code: str) -> list[str]:
        """What the server has told by onStatus with a code that begins so: descriptions."""
        statuses = [answer[-1] for answer in self.answers if answer[0] == "onStatus"]
        return [str(status["description"]) for status in statuses if status["code"].startswith(code)]

    def announce(self, *, sound: bool = True) -> None:
        """The sequence headers."""
        self._media(wire.VIDEO, b"\x17\0\0\0\0" + h264()[0].record)
        if sound:
            self._media(wire.AUDIO, b"\xaf\0" + AAC.record)

    def send(
        self, seconds: float, *, headers: bool = True, sound: bool = True, gop: int = 25, flagged: bool = True
    ) -> None:
        """So much media at once; without `sound` only pictures. `flagged`: keyframes are called so."""
        if headers:
            self.announce(sound=sound)
        start, end = self._at, self._at + seconds * 1000
        next_sound = start if sound else end
        for n in range(round(seconds * 25)):
            self._at = start + n * 40
            while next_sound <= self._at:
                self._media(wire.AUDIO, b"\xaf\1sound", round(next_sound))
                next_sound += AAC_FRAME_MS
            key = n % gop == 0
            kind = b"\x17" if key and flagged else b"\x27"
            self._media(wire.VIDEO, kind + b"\1\0\0\0" + (h264()[1] if key else inter_picture()))
        self._at = end

    def picture(self, body: bytes) -> None:
        """One video tag, a frame after the last."""
        self._at += 40
        self._media(wire.VIDEO, body, round(self._at))

    def audio_header(self, body: bytes) -> None:
        self._media(wire.AUDIO, body, round(self._at))

    def sound(self) -> None:
        self._media(wire.AUDIO, b"\xaf\1sound", round(self._at))

    async def stop(self) -> None:
        """As encoders say goodbye."""
        self._command("deleteStream", 4, None, 1)
        await self.closed()

    async def drop(self) -> None:
        """The connection is lost."""
        self._writer.transport.abort()
        assert self._listening is not None
        await self._listening

    async def closed(self) -> None:
        """Returns when the server has ended the connection."""
        async with asyncio.timeout(20):
            await self.gone.wait()
        self._writer.close()

    def _command(self, *values: object, stream: int = 0) -> None:
        self._writer.write(wire.message(wire.amf(*values), csid=3, kind=wire.COMMAND, stream=stream, size=CHUNK))

    def _media(self, kind: int, payload: bytes, at: int | None = None) -> None:
        time = round(self._at) if at is None else at
        self._writer.write(wire.message(payload, csid=kind, kind=kind, time=time, size=CHUNK))

    async def _listen(self) -> None:
        try:
            while data := await self._reader.read(65536):
                self._chunks.feed(data)
                for heard in self._chunks.messages():
                    if heard.type == wire.COMMAND:
                        self.answers.append(amf0.decode(heard.payload))
        except OSError:
            pass
        self.gone.set()


def media_end(channel: Channel) -> float:
    """Seconds of media in complete segments."""
    progress = channel._production.progress
    return progress.media_end if progress is not None else 0.0


def events(channel: Channel) -> list[JournalEvent]:
    return channel.journal.after(0, 0)


def types(channel: Channel) -> list[EventType]:
    return [event.type for event in events(channel)]


def last(channel: Channel, kind: EventType) -> JournalEvent:
    return [event for event in events(channel) if event.type is kind][-1]


async def told(channel: Channel, kind: EventType, times: int = 1) -> JournalEvent:
    """Waits for an event to be durable."""
    await until(lambda: types(channel).count(kind) >= times)
    return last(channel, kind)
