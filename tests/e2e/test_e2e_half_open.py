"""The encoder's network goes away without a word, for good or for a moment. Packets are really lost (`far_network`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from encoders import FarFFmpeg, FFmpeg, ProcessEncoder, need
from hls_rules import Follower
from service import Manifests, Service, until
from viewers import following

from far_network import FarHost

STALLED_SECONDS = 5.0


@pytest.fixture
async def onair_local(manifests: Manifests, tmp_path: Path) -> AsyncIterator[Service]:
    """On all addresses, with two streams: `keynote`, whose encoder is far away, and `beside`."""
    manifests.stream("beside")
    service = Service(manifests, tmp_path / "state", rtmp_host="0.0.0.0")
    await service.start()
    for name in ("keynote", "beside"):
        await service.provisioned(name)
    yield service
    await ProcessEncoder.kill_all()
    await service.close()


@pytest.fixture
def far_ffmpeg(tmp_path: Path, far: FarHost) -> FarFFmpeg:
    need("ffmpeg")
    return FarFFmpeg(tmp_path / "far-ffmpeg.log", far)


@asynccontextmanager
async def undisturbed(service: Service, encoder: FFmpeg) -> AsyncIterator[None]:
    """A healthy stream beside what happens: not a segment of it is missing, and it is never interrupted."""
    await encoder.start(service.publish_url("beside"))
    await service.has("beside", "active")
    async with following(service.playback_url("beside")) as followers:
        yield
        seen = len(followers["video"].segments)
        await until(lambda: len(followers["video"].segments) > seen, "the stream beside goes on")
        for follower in followers.values():
            numbers = sorted(follower.by_number)
            assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert follower.discontinuities == 0
    assert "disconnected" not in service.types("beside")


async def stands_still(followers: dict[str, Follower], seconds: float) -> None:
    """Nothing new for so long."""
    seen, since = 0, time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        if (now := len(followers["video"].segments)) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    await until(still, f"nothing new for {seconds:.0f} s")


@pytest.mark.parametrize("scheme", ["rtmp", "rtmps"])
async def test_a_network_that_is_gone_is_noticed_and_the_encoder_returns_from_elsewhere(
    onair_local: Service, far: FarHost, far_ffmpeg: FarFFmpeg, ffmpeg: FFmpeg, second_ffmpeg: FFmpeg, scheme: str
) -> None:
    await far_ffmpeg.start(onair_local.publish_url("keynote", scheme, host=far.near))
    await onair_local.has("keynote", "active")
    async with (
        undisturbed(onair_local, second_ffmpeg),
        following(onair_local.playback_url("keynote")) as followers,
    ):
        far.cut()
        await onair_local.has("keynote", "disconnected")
        assert onair_local.events("keynote")[-1]["reason"] == "ConnectionLost"
        assert onair_local.status("keynote")["phase"] == "Active", "the reconnect window has begun"
        await ffmpeg.start(onair_local.publish_url("keynote"))
        await onair_local.has("keynote", "disconnected", "connected")

        far.mend()
        assert await far_ffmpeg.ended() != 0, "what it still had to say comes too late"
        seen = len(followers["video"].segments)
        await until(lambda: len(followers["video"].segments) > seen + 1, "it goes on")
    assert {name: follower.discontinuities for name, follower in followers.items()} == {"video": 1, "audio": 1}
    assert len(onair_local.assets("keynote")) == 1
    types = onair_local.types("keynote")
    assert [types.count(kind) for kind in ("connected", "disconnected", "active")] == [2, 1, 1]
    await until(lambda: far.held_sockets() == 0, "the kernel has forgotten the connection")
    assert "Traceback" not in onair_local.log.read_text()


async def test_a_network_that_is_gone_for_five_seconds_ends_nothing(
    onair_local: Service, far: FarHost, far_ffmpeg: FarFFmpeg, second_ffmpeg: FFmpeg
) -> None:
    """What was lost is sent again: the stream goes on without a discontinuity, some seconds late."""
    await far_ffmpeg.start(onair_local.publish_url("keynote", host=far.near))
    await onair_local.has("keynote", "active")
    async with (
        undisturbed(onair_local, second_ffmpeg),
        following(onair_local.playback_url("keynote")) as followers,
    ):
        far.cut()
        await stands_still(followers, STALLED_SECONDS)
        far.mend()
        seen = len(followers["video"].segments)
        await until(lambda: len(followers["video"].segments) >= seen + 4, "it goes on")
    assert not any(follower.discontinuities for follower in followers.values())
    types = onair_local.types("keynote")
    assert (types.count("connected"), types.count("disconnected")) == (1, 0)
    await far_ffmpeg.stop()


async def test_a_network_that_comes_and_goes_ends_nothing(
    onair_local: Service, far: FarHost, far_ffmpeg: FarFFmpeg, second_ffmpeg: FFmpeg
) -> None:
    """A fifth of the time nothing arrives."""
    cuts = 0

    async def comes_and_goes() -> None:
        nonlocal cuts
        while True:
            far.cut()
            cuts += 1
            await asyncio.sleep(0.2)
            far.mend()
            await asyncio.sleep(0.8)

    await far_ffmpeg.start(onair_local.publish_url("keynote", host=far.near))
    await onair_local.has("keynote", "active")
    async with (
        undisturbed(onair_local, second_ffmpeg),
        following(onair_local.playback_url("keynote")) as followers,
    ):
        flapping = asyncio.create_task(comes_and_goes())
        seen = len(followers["video"].segments)
        await until(lambda: cuts >= 6 and len(followers["video"].segments) >= seen + 4, "it goes on")
        flapping.cancel()
    assert not any(follower.discontinuities for follower in followers.values())
    assert "disconnected" not in onair_local.types("keynote")
    far.mend()
    await far_ffmpeg.stop()
