"""`onair push` against a real publishers' port."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import av
import pytest

from onair_core.contract import DisconnectReason
from onair_core.local_state import LocalState
from onair_media.flv import VideoFrame, parse_video
from onair_media.ingest.parties import Refused
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.tls import self_signed

KEY = "secret-key-of-the-push-test"


@dataclass
class Channel:
    """Takes one key, and remembers."""

    video_tags: list[tuple[int, bytes]] = field(default_factory=list)
    audio_tags: list[tuple[int, bytes]] = field(default_factory=list)
    reasons: list[DisconnectReason] = field(default_factory=list)
    sessions: list[PublisherSession] = field(default_factory=list)

    key: str = KEY
    refused: int = 0

    def admit(self, session: PublisherSession, key: str) -> Channel:
        if key != self.key:
            self.refused += 1
            raise Refused("NetStream.Publish.BadName", "No stream has this key.")
        self.sessions.append(session)
        return self

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.video_tags.append((timestamp, bytes(payload)))

    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.audio_tags.append((timestamp, bytes(payload)))

    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None:
        pass

    def quiet_seconds(self, session: PublisherSession) -> float:
        return 0.0

    def left(self, session: PublisherSession, reason: DisconnectReason) -> None:
        self.reasons.append(reason)

    @property
    def frames(self) -> list[tuple[int, VideoFrame]]:
        units = [(timestamp, unit) for timestamp, payload in self.video_tags for unit in parse_video(payload)]
        return [(timestamp, unit) for timestamp, unit in units if isinstance(unit, VideoFrame)]


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
async def address(channel: Channel, tmp_path: Path) -> AsyncIterator[str]:
    server = RtmpServer(channel, self_signed(tmp_path))
    await server.start("127.0.0.1", 0)
    yield f"127.0.0.1:{server.address[1]}"
    await server.close()


@pytest.fixture(autouse=True)
async def no_push_survives() -> AsyncIterator[None]:
    yield
    for process in Push.processes:
        if process.returncode is None:
            process.kill()
            await process.wait()
    Push.processes.clear()


class Push:
    processes: ClassVar[list[asyncio.subprocess.Process]] = []

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.processes.append(process)

    @classmethod
    async def start(cls, *arguments: str) -> Push:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "onair_core.cli", "push", *arguments,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )
        )  # fmt: skip

    async def end(self) -> tuple[int, str]:
        output, _ = await asyncio.wait_for(self.process.communicate(), 30)
        assert KEY not in output.decode()
        return self.process.returncode or 0, output.decode()


async def published(channel: Channel, push: Push) -> None:
    """The encoder has ended well, and the server has read all of it: a tick later."""
    status, output = await push.end()
    assert status == 0, output
    await until(lambda: channel.reasons == [DisconnectReason.CLEAN_STOP])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


SMALL = ("--size", "320x180", "--bitrate", "300k", "--gop", "1")


async def test_the_pattern_is_h264_and_aac_in_real_time_and_ends_in_order(channel: Channel, address: str) -> None:
    await published(channel, await Push.start(f"rtmp://{address}/app/{KEY}", *SMALL, "--duration", "3"))
    frames = channel.frames
    assert len(frames) == 90
    assert [timestamp for timestamp, frame in frames if frame.keyframe] == pytest.approx([0, 1000, 2000], abs=70)
    assert len(channel.audio_tags) >= 135


async def test_rtmps(channel: Channel, address: str) -> None:
    await published(channel, await Push.start(f"rtmps://{address}/app/{KEY}", *SMALL, "--duration", "1"))
    assert channel.sessions[0].secure


async def test_audio_only(channel: Channel, address: str) -> None:
    await published(channel, await Push.start(f"rtmp://{address}/app/{KEY}", "--audio-only", "--duration", "1"))
    assert channel.video_tags == []
    assert len(channel.audio_tags) > 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_in_order(channel: Channel, address: str, number: signal.Signals) -> None:
    push = await Push.start(f"rtmp://{address}/app/{KEY}", *SMALL)
    await until(lambda: len(channel.frames) > 10)
    push.process.send_signal(number)
    await published(channel, push)


async def test_a_wrong_key_is_told_and_not_retried(channel: Channel, address: str) -> None:
    status, output = await (await Push.start(f"rtmp://{address}/app/other", *SMALL)).end()
    assert status == 1
    assert "No stream has this key" in output
    assert "other" not in output


async def test_nobody_there_is_told_and_not_retried() -> None:
    status, output = await (await Push.start(f"rtmp://127.0.0.1:1/app/{KEY}", *SMALL)).end()
    assert status == 1
    assert output.splitlines() == ["to: rtmp://127.0.0.1:1/app", "Error: rtmp://127.0.0.1:1/app: Connection refused"]


async def test_a_lost_connection_is_retried(channel: Channel, address: str) -> None:
    push = await Push.start(f"rtmp://{address}/app/{KEY}", *SMALL)
    await until(lambda: len(channel.frames) > 10)
    channel.sessions[0].end("NetStream.Unpublish.Success", "The test says so.", DisconnectReason.PUBLISHER_SILENT)
    await until(lambda: len(channel.sessions) == 2)
    seen = len(channel.frames)
    await until(lambda: len(channel.frames) > seen + 10)
    push.process.send_signal(signal.SIGINT)
    status, output = await push.end()
    assert status == 0, output
    assert "trying again in 1.0 s" in output
    assert f"rtmp://{address}/app: the server closed the connection; trying again in 1.0 s" in output
    assert f"reconnected to rtmp://{address}/app" in output


async def test_a_name_says_where_and_its_reset_key_is_taken_up(channel: Channel, address: str, tmp_path: Path) -> None:
    state = LocalState(tmp_path / "state")
    watch = {"name": "main", "id": "keynote-2026", "url": "http://127.0.0.1:8080/keynote-2026.m3u8"}
    secret = {"streamKeySecret": {"name": "s", "key": "streamKey"}}
    metadata = {"name": "keynote", "namespace": "default"}
    keep(
        state.path("LiveStream", "default", "keynote"),
        metadata=metadata,
        status={"ingest": secret, "playback": [watch]},
    )
    keep(state.path("Secret", "default", "s"), data={"streamKey": b64encode(KEY.encode()).decode()})
    keep(state.folder / "endpoint.json", rtmp=f"rtmp://{address}", rtmps="", http="")
    push = await Push.start("keynote", "--state-dir", str(state.folder), *SMALL)
    await until(lambda: len(channel.frames) > 10)
    channel.key = KEY + "-reset"
    channel.sessions[0].end("NetStream.Unpublish.Success", "The key was reset.", DisconnectReason.KEY_RESET)
    for _ in range(2):  # refused twice in the same words, and told so twice
        refused = channel.refused
        await until(lambda: channel.refused > refused)  # noqa: B023 - awaited here
    keep(state.path("Secret", "default", "s"), data={"streamKey": b64encode(channel.key.encode()).decode()})
    await until(lambda: len(channel.sessions) == 2)
    push.process.send_signal(signal.SIGINT)
    status, output = await push.end()
    assert status == 0, output
    assert output.startswith(f"keynote: rtmp://{address}/app\nwatch: http://127.0.0.1:8080/watch/keynote-2026\n")
    assert output.count("the server refused: No stream has this key.; trying again") >= 2
    assert "not permitted" not in output


async def test_a_name_that_nobody_serves_is_told(tmp_path: Path) -> None:
    status, output = await (await Push.start("keynote", "--state-dir", str(tmp_path / "state"))).end()
    assert status == 1 and "is not the state folder of an onair local" in output


def keep(file: Path, **content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    (temporary := file.with_suffix(".new")).write_text(json.dumps(content))
    temporary.replace(file)


@pytest.fixture(scope="session")
def movies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seconds each: H.264 with B-frames and AAC in MP4, MPEG-4 part 2 and MP3 in Matroska."""
    folder = tmp_path_factory.mktemp("movies")
    made = {}
    for name, video_codec, audio_codec in (("movie.mp4", "libx264", "aac"), ("movie.mkv", "mpeg4", "libmp3lame")):
        made[name] = folder / name
        with av.open(str(made[name]), "w") as out:
            video = out.add_stream(video_codec, rate=25)
            video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
            audio = out.add_stream(audio_codec, rate=44_100, layout="stereo")
            for _ in range(50):
                out.mux(video.encode(av.VideoFrame(160, 90, "yuv420p")))
            for number in range(76):
                sound = av.AudioFrame("s16p", "stereo", 1152)
                for plane in sound.planes:
                    plane.update(bytes(plane.buffer_size))
                sound.sample_rate, sound.pts = 44_100, number * 1152
                out.mux(audio.encode(sound))
            out.mux(video.encode())
            out.mux(audio.encode())
    return made


@pytest.mark.parametrize("name", ["movie.mp4", "movie.mkv"])
async def test_a_file_is_published_whole(channel: Channel, address: str, movies: dict[str, Path], name: str) -> None:
    push = await Push.start(f"rtmp://{address}/app/{KEY}", "--file", str(movies[name]))
    await published(channel, push)
    assert len(channel.frames) == 50
    assert channel.audio_tags[-1][0] > 1800


@pytest.mark.parametrize("name", ["movie.mp4", "movie.mkv"])
async def test_a_looped_file_goes_on_in_time(
    channel: Channel, address: str, movies: dict[str, Path], name: str
) -> None:
    push = await Push.start(f"rtmp://{address}/app/{KEY}", "--file", str(movies[name]), "--loop", "--duration", "5")
    await published(channel, push)
    timestamps = [timestamp for timestamp, _ in channel.frames]
    assert timestamps == sorted(timestamps)
    assert 4500 < timestamps[-1] < 5500
    assert max(b - a for a, b in itertools.pairwise(timestamps)) < 400


async def test_a_file_without_media_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    status, output = await (
        await Push.start(f"rtmp://127.0.0.1:1/app/{KEY}", "--file", str(tmp_path / "notes.txt"))
    ).end()
    assert status == 1
    assert "cannot read" in output
