"""The recording: rewound while live, kept afterwards, and plain HLS for any web server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from encoders import FFmpeg
from service import Service, until
from viewers import Viewer, decode, following, get, playlists, watch_url


@pytest.fixture
async def web_server(onair_local: Service) -> AsyncIterator[str]:
    """`python -m http.server` over the recordings' folder; the base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1",
        "--directory", str(onair_local.state.folder / "recordings"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    yield f"http://127.0.0.1:{line.split(' port ')[1].split()[0]}"
    process.kill()
    await process.communicate()


async def test_rewound_while_live_and_kept_afterwards(
    onair_local: Service, ffmpeg: FFmpeg, viewer: Viewer, web_server: str
) -> None:
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    (asset,) = onair_local.assets("keynote")
    url = asset["status"]["playback"][0]["url"]

    async with following(url) as followers:
        await until(lambda: all(len(f.segments) >= 5 for f in followers.values()), "five segments of each rendition")
        growing = await playlists(url)
        assert {(p.kind, p.media_sequence, p.ended) for p in growing.values()} == {("EVENT", 0, False)}
        assert (await decode(url, first_seconds=2)).complaints == ""
        await ffmpeg.stop()
        await onair_local.has("keynote", "disconnected")
        onair_local.complete("keynote")
        await until(lambda: all(f.last and f.last.ended for f in followers.values()), "ENDLIST")
    types = onair_local.types("keynote")
    assert sorted(types[types.index("disconnected") + 1 :]) == ["asset.live_stream_completed", "idle"]

    final = (await playlists(url))["video"]
    decoded = await decode(url)
    assert decoded.complaints == ""
    assert abs(decoded.video / 30 - final.duration) < 0.2, "every frame is in it"
    await viewer.open(watch_url(url))
    await viewer.sees("playing", "ended")

    static = f"{web_server}/assets/{asset['metadata']['name']}"
    folder = onair_local.state.folder / "recordings" / "assets" / asset["metadata"]["name"]
    (multivariant,) = [file for file in folder.glob("*.m3u8") if "EXT-X-STREAM-INF" in file.read_text()]
    elsewhere = await decode(f"{static}/{multivariant.name}")
    assert elsewhere == decoded, "any web server will do"


async def test_the_recording_is_the_very_segments_that_were_live(onair_local: Service, ffmpeg: FFmpeg) -> None:
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    (asset,) = onair_local.assets("keynote")
    live_url, asset_url = onair_local.playback_url("keynote"), asset["status"]["playback"][0]["url"]
    live = (await playlists(live_url))["video"].segments[0]
    recorded = (await playlists(asset_url))["video"].segments[0]
    assert live.duration == recorded.duration
    bodies = []
    for url, segment in ((live_url, live), (asset_url, recorded)):
        base = url.removesuffix(".m3u8")
        bodies.append(await get_bytes(f"{base}/{segment.uri}"))
    assert bodies[0] == bodies[1]
    await ffmpeg.stop()


async def test_recording_off_keeps_nothing(onair_local: Service, ffmpeg: FFmpeg) -> None:
    onair_local.manifests.stream("fleeting", newAssetSettings={"recording": False}, reconnectWindowSeconds=0)
    await onair_local.provisioned("fleeting")
    await ffmpeg.start(onair_local.publish_url("fleeting"))
    await onair_local.has("fleeting", "active")
    assert (await decode(onair_local.playback_url("fleeting"), first_seconds=1)).complaints == ""
    await ffmpeg.stop()
    await onair_local.has("fleeting", "idle")
    kept: list[Path] = list((onair_local.state.folder / "recordings").rglob("*.m4s"))
    assert kept == []


async def test_after_the_end_the_last_playlist_stays_and_the_recording_outlives_a_restart(
    onair_local: Service, ffmpeg: FFmpeg
) -> None:
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    await ffmpeg.stop()
    onair_local.complete("keynote")
    await onair_local.has("keynote", "idle")
    assert all(playlist.ended for playlist in (await playlists(onair_local.playback_url("keynote"))).values())
    url = onair_local.assets("keynote")[0]["status"]["playback"][0]["url"]
    await onair_local.restart()
    assert (await get(onair_local.playback_url("keynote")))[0] == 412
    assert (await decode(url)).complaints == ""


async def get_bytes(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200, url
        return await answer.read()
