"""The installation, its encoders and its viewers. A test that fails shows the log of `onair local`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from encoders import AudioFFmpeg, FFmpeg, GStreamer, LibRtmp, ProcessEncoder, Push, RtmpDump, RtmpSink, need
from service import Manifests, Service
from viewers import Viewer, chromium


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    service = item.funcargs.get("onair_local") if isinstance(item, pytest.Function) else None
    if isinstance(service, Service) and report.failed:
        report.sections.append(("onair local", service.tail()))
    return report


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    found = Manifests(tmp_path / "manifests")
    found.stream("keynote")
    return found


@pytest.fixture
async def onair_local(manifests: Manifests, tmp_path: Path) -> AsyncIterator[Service]:
    """Serves a LiveStream `keynote` with the default reconnect window; a test may declare more."""
    service = Service(manifests, tmp_path / "state")
    await service.start()
    await service.provisioned("keynote")
    yield service
    await ProcessEncoder.kill_all()
    await service.close()


@pytest.fixture
def ffmpeg(tmp_path: Path) -> FFmpeg:
    need("ffmpeg")
    return FFmpeg(tmp_path / "ffmpeg.log")


@pytest.fixture
def second_ffmpeg(tmp_path: Path) -> FFmpeg:
    need("ffmpeg")
    return FFmpeg(tmp_path / "second-ffmpeg.log")


@pytest.fixture
def audio_ffmpeg(tmp_path: Path) -> AudioFFmpeg:
    need("ffmpeg")
    return AudioFFmpeg(tmp_path / "audio-ffmpeg.log")


@pytest.fixture
def gstreamer(tmp_path: Path) -> GStreamer:
    need("gst-launch-1.0")
    return GStreamer(tmp_path / "gstreamer.log")


@pytest.fixture
def rtmpsink(tmp_path: Path) -> RtmpSink:
    need("gst-launch-1.0")
    return RtmpSink(tmp_path / "rtmpsink.log")


@pytest.fixture
def librtmp(tmp_path: Path) -> LibRtmp:
    return LibRtmp(tmp_path / "librtmp.log")


@pytest.fixture
def rtmpdump(tmp_path: Path) -> RtmpDump:
    return RtmpDump(tmp_path / "rtmpdump.log")


@pytest.fixture
def push(tmp_path: Path) -> Push:
    return Push(tmp_path / "push.log")


@pytest.fixture
async def viewer() -> AsyncIterator[Viewer]:
    """A page of headless Chromium that has hls.js; nothing but loopback resolves."""
    async with chromium() as found:
        yield found
