"""Real encoders, all with one shape: start(url), stop() in order, kill() as a power cut does it."""

from __future__ import annotations

import asyncio
import ctypes
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import imageio_ffmpeg
import librtmp_encoder
import pytest

from far_network import FarHost


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

    @classmethod
    async def kill_all(cls) -> None:
        """Those that a test has left running."""
        for process in list(cls.running):
            if process.returncode is None:
                process.kill()
                await process.wait()
        cls.running.clear()

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


class FarFFmpeg(FFmpeg):
    """On a host of its own."""

    def __init__(self, log: Path, host: FarHost) -> None:
        super().__init__(log)
        self._host = host

    def command(self, url: str) -> list[str]:
        return self._host.command(*super().command(url))


class GStreamer(ProcessEncoder):
    """rtmp2sink."""

    sink: ClassVar[tuple[str, str]] = ("rtmp2sink", "location={url}")

    def command(self, url: str) -> list[str]:
        return [
            need("gst-launch-1.0"), "-e", "-q",
            "videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=180,framerate=30/1", "!",
            "x264enc", "bitrate=300", "key-int-max=30", "speed-preset=ultrafast", "tune=zerolatency", "!",
            "video/x-h264,profile=main", "!", "h264parse", "!", "queue", "!", "mux.",
            "audiotestsrc", "is-live=true", "samplesperbuffer=1024", "!", "audio/x-raw,rate=48000,channels=2", "!",
            "avenc_aac", "bitrate=96000", "!", "aacparse", "!", "queue", "!", "mux.",
            "flvmux", "name=mux", "streamable=true", "!", self.sink[0], self.sink[1].format(url=url),
        ]  # fmt: skip


@dataclass(frozen=True)
class Tracks:
    """What an FFmpeg command sends: options of the picture and of each sound; `video_tracks` of the same picture."""

    video: tuple[str, ...]
    sounds: tuple[tuple[str, ...], ...]
    video_tracks: int = 1


X264 = ("libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "30", "-b:v", "300k")
X265 = ("libx265", "-preset", "ultrafast", "-g", "30", "-x265-params", "log-level=none:open-gop=0:bframes=2")
X265_OPEN = ("libx265", "-preset", "ultrafast", "-g", "30", "-x265-params", "log-level=none:open-gop=1:bframes=2")
X264_OPEN = (
    "libx264",
    "-preset",
    "veryfast",
    "-g",
    "30",
    "-x264-params",
    "open-gop=1:bframes=2",
    "-pix_fmt",
    "yuv420p",
)
AV1 = ("libsvtav1", "-preset", "12", "-g", "30", "-svtav1-params", "pred-struct=1:lp=1")
VP9 = ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "300k")
AAC, OPUS, FLAC, AC3, EAC3 = ("aac",), ("libopus",), ("flac",), ("ac3",), ("eac3",)
MP3 = ("libmp3lame",)


class FFmpeg9(ProcessEncoder):
    """FFmpeg 9 as PyPI has it: Enhanced RTMP, several tracks."""

    def __init__(self, log: Path, tracks: Tracks, *options: str) -> None:
        super().__init__(log)
        self._tracks = tracks
        self._options = options

    def command(self, url: str) -> list[str]:
        tracks = self._tracks
        arguments = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error"]
        if tracks.video:
            arguments += ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"]
        for n in range(len(tracks.sounds)):
            arguments += ["-re", "-f", "lavfi", "-i", f"sine=frequency={440 * (n + 1)}:sample_rate=48000"]
        arguments += ["-map", "0:v"] * (tracks.video_tracks if tracks.video else 0)
        first = 1 if tracks.video else 0
        for n in range(len(tracks.sounds)):
            arguments += ["-map", f"{n + first}:a"]
        if tracks.video:
            arguments += ["-c:v", *tracks.video]
        for n, (codec, *options) in enumerate(tracks.sounds):
            arguments += [f"-c:a:{n}", codec, *options]
        return [*arguments, "-ac", "2", *self._options, "-f", "flv", url]


class RtmpSink(GStreamer):
    """rtmpsink: librtmp through GStreamer."""

    sink = ("rtmpsink", "location={url} live=1")


class LibRtmp(ProcessEncoder):
    """librtmp by its library; `options` are ffmpeg's, which encodes for it."""

    def __init__(self, log: Path, *options: str) -> None:
        super().__init__(log)
        self._options = options

    def command(self, url: str) -> list[str]:
        need("ffmpeg")
        try:
            ctypes.CDLL(librtmp_encoder.LIBRARY)
        except OSError:
            pytest.skip("librtmp (Debian: librtmp1) is not installed")
        return [sys.executable, librtmp_encoder.__file__, url, *self._options]


class RtmpDump(ProcessEncoder):
    """rtmpdump: a player, which comes here by mistake."""

    def command(self, url: str) -> list[str]:
        return [need("rtmpdump"), "-V", "--live", "-r", url, "-o", "/dev/null"]


class Push(ProcessEncoder):
    """PyAV, as `onair push` uses it; it comes back by itself after a loss."""

    reconnect = True

    def command(self, url: str) -> list[str]:
        return [
            sys.executable, "-m", "onair_core.cli", "push", url, "--size", "320x180", "--bitrate", "300k", "--gop", "1",
            *([] if self.reconnect else ["--no-reconnect"]),
        ]  # fmt: skip
