"""Real encoders, all with one shape: start(url), stop() in order, kill() as a power cut does it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from pathlib import Path
from typing import ClassVar, Protocol

import pytest


class Encoder(Protocol):
    """`start` returns when the program runs, not when it is live."""

    async def start(self, url: str) -> None: ...
    async def stop(self) -> None: ...
    async def kill(self) -> None: ...


def need(program: str) -> str:
    """Its path; the test is skipped with a plain reason where it is not installed."""
    return shutil.which(program) or pytest.skip(f"{program} is not installed")


class ProcessEncoder:
    """An encoder that is one program, and stops in order on SIGINT."""

    running: ClassVar[set[asyncio.subprocess.Process]] = set()

    def __init__(self, log: Path) -> None:
        self._log = log
        self.process: asyncio.subprocess.Process | None = None

    def command(self, url: str) -> list[str]:
        raise NotImplementedError

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    async def start(self, url: str) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command(url), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.running.add(self.process)

    async def stop(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        await self.ended()

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    async def ended(self) -> int:
        """Waits for its own end; the exit status."""
        assert self.process is not None
        status = await asyncio.wait_for(self.process.wait(), 30)
        self.running.discard(self.process)
        return status


class FFmpeg(ProcessEncoder):
    """Debian's ffmpeg: 320x180, a keyframe each second."""

    audio_only = False

    def command(self, url: str) -> list[str]:
        video = [
            "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30",
            "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "30",
            "-b:v", "300k",
        ]  # fmt: skip
        return [
            need("ffmpeg"), "-hide_banner", "-nostdin", "-loglevel", "error", "-re",
            "-f", "lavfi", "-i", "sine=sample_rate=48000", *([] if self.audio_only else video),
            "-c:a", "aac", "-f", "flv", url,
        ]  # fmt: skip


class AudioFFmpeg(FFmpeg):
    audio_only = True


class GStreamer(ProcessEncoder):
    """rtmp2sink."""

    def command(self, url: str) -> list[str]:
        return [
            need("gst-launch-1.0"), "-e", "-q",
            "videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=180,framerate=30/1", "!",
            "x264enc", "bitrate=300", "key-int-max=30", "speed-preset=ultrafast", "tune=zerolatency", "!",
            "video/x-h264,profile=main", "!", "h264parse", "!", "queue", "!", "mux.",
            "audiotestsrc", "is-live=true", "samplesperbuffer=1024", "!", "audio/x-raw,rate=48000,channels=2", "!",
            "avenc_aac", "bitrate=96000", "!", "aacparse", "!", "queue", "!", "mux.",
            "flvmux", "name=mux", "streamable=true", "!", "rtmp2sink", f"location={url}",
        ]  # fmt: skip


class Push(ProcessEncoder):
    """PyAV, as `onair push` uses it; it comes back by itself after a loss."""

    reconnect = True

    def command(self, url: str) -> list[str]:
        return [
            sys.executable, "-m", "onair_core.cli", "push", url, "--size", "320x180", "--bitrate", "300k", "--gop", "1",
            *([] if self.reconnect else ["--no-reconnect"]),
        ]  # fmt: skip
