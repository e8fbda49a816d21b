"""An encoder drops: inside the window it is the same recording, after it a new one; `onair local` itself may be killed."""

from __future__ import annotations

from encoders import FFmpeg, Push
from service import Service, until
from viewers import Viewer, decode, following, playlists, watch_url


async def test_killed_and_back_inside_the_window(onair_local: Service, ffmpeg: FFmpeg, viewer: Viewer) -> None:
    """One asset, exactly one discontinuity, and the viewer's page goes on by itself."""
    await viewer.open(watch_url(onair_local.playback_url("keynote")))
    origin = await viewer.origin()
    await viewer.sees("waiting")
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    await viewer.sees("playing")
    async with following(onair_local.playback_url("keynote")) as followers:
        await ffmpeg.kill()
        await onair_local.has("keynote", "disconnected")
        assert onair_local.status("keynote")["phase"] == "Active"
        assert onair_local.events("keynote")[-1]["reason"] == "ConnectionLost"
        await viewer.sees("stalled")

        await ffmpeg.start(onair_local.publish_url("keynote"))
        await onair_local.has("keynote", "disconnected", "connected")
        await viewer.sees("playing")
        await viewer.moves_on()
        await until(
            lambda: all(f.segments[-1].discontinuity is False and f.discontinuities for f in followers.values()),
            "it goes on",
        )
    assert {name: follower.discontinuities for name, follower in followers.items()} == {"video": 1, "audio": 1}
    assert await viewer.origin() == origin, "without a reload"
    assert len(onair_local.assets("keynote")) == 1
    types = onair_local.types("keynote")
    assert [types.count(kind) for kind in ("connected", "active", "recording", "asset.created")] == [2, 1, 1, 1]
    await ffmpeg.stop()


async def test_back_after_the_window_is_a_new_recording(onair_local: Service, ffmpeg: FFmpeg) -> None:
    onair_local.manifests.stream("short", reconnectWindowSeconds=1)
    await onair_local.provisioned("short")
    await ffmpeg.start(onair_local.publish_url("short"))
    await onair_local.has("short", "active")
    await ffmpeg.kill()
    await onair_local.has("short", "disconnected", "idle")
    assert onair_local.status("short")["phase"] == "Idle"

    await ffmpeg.start(onair_local.publish_url("short"))
    await onair_local.has("short", "idle", "connected", "active")
    await until(lambda: len(onair_local.assets("short")) == 2, "two recordings")
    first, second = onair_local.assets("short")
    assert (first["status"]["isLive"], second["status"]["isLive"]) == (False, True)
    assert first["status"]["playback"][0]["id"] != second["status"]["playback"][0]["id"]
    await ffmpeg.stop()


async def test_the_built_in_encoder_comes_back_by_itself(onair_local: Service, push: Push) -> None:
    await push.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    await onair_local.restart()
    await onair_local.has("keynote", "active", "disconnected", "connected")
    await push.stop()
    assert len(onair_local.assets("keynote")) == 1


async def test_onair_local_killed_in_the_middle(onair_local: Service, ffmpeg: FFmpeg) -> None:
    """The broadcast goes on under the same asset; what was recorded is there, and nothing is numbered anew."""
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    url = onair_local.playback_url("keynote")
    async with following(url) as followers:
        await until(lambda: len(followers["video"].segments) >= 3, "three segments")
        before = onair_local.events("keynote")
        await onair_local.restart()
        await ffmpeg.kill()
        await ffmpeg.start(onair_local.publish_url("keynote"))
        await onair_local.has("keynote", "disconnected", "connected")
        await until(lambda: len(followers["video"].segments) >= 6, "it goes on")
    assert onair_local.playback_url("keynote") == url
    assert onair_local.events("keynote")[: len(before)] == before
    (asset,) = onair_local.assets("keynote")
    await onair_local.has("keynote", "connected", "active", "disconnected", "connected")
    assert onair_local.types("keynote").count("active") == 1
    await ffmpeg.stop()
    onair_local.complete("keynote")
    await onair_local.has("keynote", "idle")
    recording = await playlists(asset["status"]["playback"][0]["url"])
    assert recording["video"].ended
    assert recording["video"].discontinuities == 1
    decoded = await decode(asset["status"]["playback"][0]["url"])
    assert decoded.complaints == ""
    assert abs(decoded.video / 30 - recording["video"].duration) < 0.5


async def test_onair_local_down_for_longer_than_the_window(onair_local: Service, ffmpeg: FFmpeg) -> None:
    """The broadcast ends properly when it is started again."""
    onair_local.manifests.stream("short", reconnectWindowSeconds=0)
    await onair_local.provisioned("short")
    await ffmpeg.start(onair_local.publish_url("short"))
    await onair_local.has("short", "active")
    await onair_local.kill()
    await ffmpeg.kill()
    await onair_local.start()
    await onair_local.has("short", "disconnected", "idle")
    await until(lambda: not onair_local.assets("short")[0]["status"]["isLive"], "the recording is final")
    url = onair_local.assets("short")[0]["status"]["playback"][0]["url"]
    assert (await playlists(url))["video"].ended
    assert (await decode(url)).complaints == ""
