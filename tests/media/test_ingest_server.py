"""The publishers' port with real encoders: what arrives, and how each of them says goodbye."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from onair_core.contract import DisconnectReason
from onair_media.ingest import session
from onair_media.ingest.parties import Refused
from onair_media.ingest.server import RtmpServer
from onair_media.ingest.session import PublisherSession
from onair_media.ingest.tls import self_signed

KEY = "key-of-the-test-stream"


@dataclass
class Sink:
    """A channel that only remembers."""

    video_tags: list[tuple[int, bytes]] = field(default_factory=list)
    audio_tags: list[tuple[int, bytes]] = field(default_factory=list)
    reasons: list[DisconnectReason] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    secure: bool = False

    def admit(self, session: PublisherSession, key: str) -> Sink:
        if key != KEY:
            raise Refused("NetStream.Publish.BadName", "No stream has this key.")
        self.secure = session.secure
        return self

    def video(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.video_tags.append((timestamp, payload))

    def audio(self, session: PublisherSession, timestamp: int, payload: bytes) -> None:
        self.audio_tags.append((timestamp, payload))

    def metadata(self, session: PublisherSession, values: dict[str, object]) -> None:
        pass

    def quiet_seconds(self, session: PublisherSession) -> float:
        return 0.0

    def left(self, session: PublisherSession, reason: DisconnectReason) -> None:
        self.reasons.append(reason)
        self.gone.set()


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def server(sink: Sink, tmp_path: Path) -> AsyncIterator[RtmpServer]:
    server = RtmpServer(sink, self_signed(tmp_path))
    await server.start("127.0.0.1", 0)
    yield server
    await server.close()


def need(program: str) -> str:
    return shutil.which(program) or pytest.skip(f"{program} is not installed")


async def run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


def ffmpeg(url: str) -> list[str]:
    return [
        need("ffmpeg"), "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=30",
        "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "3", "-c:v", "libx264", "-preset", "ultrafast", "-g", "30",
        "-c:a", "aac", "-f", "flv", url,
    ]  # fmt: skip


def gstreamer(sink: list[str]) -> list[str]:
    return [
        need("gst-launch-1.0"), "-e", "-q", "videotestsrc", "num-buffers=90", "!", "video/x-raw,width=320,height=180,framerate=30/1",
        "!", "x264enc", "key-int-max=30", "speed-preset=ultrafast", "!", "h264parse", "!", "queue", "!", "mux.",
        "audiotestsrc", "num-buffers=140", "samplesperbuffer=1024", "!", "audio/x-raw,rate=48000,channels=2", "!", "avenc_aac",
        "!", "aacparse", "!", "queue", "!", "mux.", "flvmux", "name=mux", "streamable=true", "!", *sink,
    ]  # fmt: skip


async def assert_whole_stream(sink: Sink) -> None:
    await asyncio.wait_for(sink.gone.wait(), 10)
    frames = [payload for _, payload in sink.video_tags if payload[1] == 1]
    assert len(frames) == 90
    assert len(sink.audio_tags) >= 130
    timestamps = [timestamp for timestamp, _ in sink.video_tags]
    assert timestamps == sorted(timestamps)
    assert sink.reasons == [DisconnectReason.CLEAN_STOP]


async def test_ffmpeg_publishes_and_stops_cleanly(server: RtmpServer, sink: Sink) -> None:
    status, output = await run(*ffmpeg(f"rtmp://127.0.0.1:{server.address[1]}/app/{KEY}"))
    assert status == 0, output
    await assert_whole_stream(sink)


async def test_the_same_port_takes_rtmps(server: RtmpServer, sink: Sink) -> None:
    status, output = await run(*ffmpeg(f"rtmps://127.0.0.1:{server.address[1]}/app/{KEY}"))
    assert status == 0, output
    await assert_whole_stream(sink)
    assert sink.secure


async def test_librtmp_under_gstreamer_takes_the_same_port_for_rtmps(server: RtmpServer, sink: Sink) -> None:
    location = f"location=rtmps://127.0.0.1:{server.address[1]}/app/{KEY} live=1"
    status, output = await run(*gstreamer(["rtmpsink", location]))
    assert status == 0, output
    await assert_whole_stream(sink)
    assert sink.secure


@pytest.mark.parametrize("name", ["rtmp2sink", "rtmpsink", "rtmpsink with app and playpath"])
async def test_gstreamer_publishes_and_stops_cleanly(server: RtmpServer, sink: Sink, name: str) -> None:
    base = f"rtmp://127.0.0.1:{server.address[1]}/app"
    sinks = {
        "rtmp2sink": ["rtmp2sink", f"location={base}/{KEY}"],
        "rtmpsink": ["rtmpsink", f"location={base}/{KEY} live=1"],
        "rtmpsink with app and playpath": ["rtmpsink", f"location={base} app=app playpath={KEY} live=1"],
    }
    status, output = await run(*gstreamer(sinks[name]))
    assert status == 0, output
    await assert_whole_stream(sink)


async def test_a_wrong_key_is_refused_with_a_reason(server: RtmpServer, sink: Sink) -> None:
    status, output = await run(*ffmpeg(f"rtmp://127.0.0.1:{server.address[1]}/app/not-the-key"))
    assert status != 0
    assert sink.reasons == [] and sink.video_tags == []
    assert "No stream has this key" in output or "BadName" in output or "Server error" in output, output


async def test_a_killed_encoder_is_a_lost_connection(server: RtmpServer, sink: Sink) -> None:
    command = [
        arg if arg != "3" else "600" for arg in ffmpeg(f"rtmp://127.0.0.1:{server.address[1]}/app/{KEY}?token=x")
    ]
    command.insert(1, "-re")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    while len(sink.video_tags) < 10:
        await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    await asyncio.wait_for(sink.gone.wait(), 10)
    assert sink.reasons == [DisconnectReason.CONNECTION_LOST]


async def test_tls_certificate_is_replaced_while_running(server: RtmpServer, tmp_path: Path) -> None:
    async def serial() -> bytes | None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", server.address[1], ssl=context)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return certificate  # type: ignore[no-any-return]

    before = await serial()
    (tmp_path / "rtmps.crt").unlink()
    self_signed(tmp_path)
    assert await serial() != before


def test_a_peer_that_is_gone_does_not_delay_the_close(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop stops polling a socket after a reset: the end must be found by reading on, not by waiting for it."""
    monkeypatch.setattr(session, "LINGER_SECONDS", 3600)

    async def story() -> None:
        server = RtmpServer(sink, self_signed(tmp_path))
        await server.start("127.0.0.1", 0)
        command = [arg if arg != "3" else "600" for arg in ffmpeg(f"rtmp://127.0.0.1:{server.address[1]}/app/{KEY}")]
        encoder = subprocess.Popen(  # noqa: ASYNC220 - reaped while the server has not read on
            [command[0], "-re", *command[1:]], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while len(sink.video_tags) < 10:
            await asyncio.sleep(0.02)
        encoder.send_signal(signal.SIGINT)
        encoder.wait()
        await asyncio.wait_for(server.close(), 30)

    uvloop.run(story())
