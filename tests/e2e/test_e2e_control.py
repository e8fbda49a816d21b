"""What the channel's owner does while it is live: complete, rotate the key, disable, remove; everything else waits."""

from __future__ import annotations

from encoders import FFmpeg
from service import Service, until
from viewers import following, get

from onair_operator.verbs.streams import assets, streams


async def live(service: Service, encoder: FFmpeg) -> None:
    await encoder.start(service.publish_url("keynote"))
    await service.has("keynote", "active")


async def test_complete_ends_the_broadcast_at_once_and_the_next_is_new(onair_local: Service, ffmpeg: FFmpeg) -> None:
    await live(onair_local, ffmpeg)
    broadcast = onair_local.status("keynote")["broadcast"]["id"]
    assert broadcast in onair_local.complete("keynote")
    await onair_local.has("keynote", "active", "idle")
    assert "asset.live_stream_completed" in onair_local.types("keynote")
    await ffmpeg.kill()
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "idle", "connected", "active")
    assert onair_local.status("keynote")["broadcast"]["id"] != broadcast
    await ffmpeg.stop()


async def test_a_rotated_key_cuts_the_publisher_and_only_the_new_one_works(
    onair_local: Service, ffmpeg: FFmpeg
) -> None:
    await live(onair_local, ffmpeg)
    old = onair_local.publish_url("keynote")
    onair_local.rotate_key("keynote")
    await ffmpeg.ended()
    await onair_local.has("keynote", "disconnected", "idle")
    assert onair_local.publish_url("keynote") != old
    await ffmpeg.start(old)
    assert await ffmpeg.ended() != 0
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "idle", "connected", "active")
    await ffmpeg.stop()


async def test_disabled_in_the_manifest_cuts_and_refuses_until_enabled(onair_local: Service, ffmpeg: FFmpeg) -> None:
    await live(onair_local, ffmpeg)
    onair_local.manifests.stream("keynote", disabled=True)
    await ffmpeg.ended()
    await onair_local.has("keynote", "disconnected", "idle")
    await onair_local.has("keynote", "disabled")
    assert onair_local.status("keynote")["phase"] == "Disabled"
    await ffmpeg.start(onair_local.publish_url("keynote"))
    assert await ffmpeg.ended() != 0
    onair_local.manifests.stream("keynote")
    await onair_local.has("keynote", "enabled")
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "enabled", "connected", "active")
    await ffmpeg.stop()


async def test_a_removed_manifest_ends_the_stream_and_keeps_the_recording(onair_local: Service, ffmpeg: FFmpeg) -> None:
    await live(onair_local, ffmpeg)
    url = onair_local.playback_url("keynote")
    (asset,) = onair_local.assets("keynote")
    onair_local.manifests.remove("keynote")
    await ffmpeg.ended()
    await until(lambda: onair_local.state.read("LiveStream", "default", "keynote") is None, "the object is gone")
    assert (await get(url))[0] in (404, 412) or "ENDLIST" in (await get(url))[1]
    recording = asset["status"]["playback"][0]["url"]
    await until(lambda: not onair_local.assets("keynote")[0]["status"]["isLive"], "the recording is final")
    assert (await get(recording))[0] == 200


async def test_other_edits_do_not_interrupt_a_live_broadcast(onair_local: Service, ffmpeg: FFmpeg) -> None:
    await live(onair_local, ffmpeg)
    async with following(onair_local.playback_url("keynote")) as followers:
        onair_local.manifests.stream(
            "keynote", title="Another title", reconnectWindowSeconds=300, newAssetSettings={"passthrough": "x"}
        )
        await until(lambda: onair_local.status("keynote")["observedGeneration"] == 2, "the edit is seen")
        seen = len(followers["video"].segments)
        await until(lambda: len(followers["video"].segments) >= seen + 2, "it goes on")
        assert followers["video"].discontinuities == 0
    types = onair_local.types("keynote")
    assert (types.count("connected"), types.count("disconnected")) == (1, 0)
    await ffmpeg.stop()


async def test_a_mistake_in_a_manifest_leaves_the_live_stream_alone(onair_local: Service, ffmpeg: FFmpeg) -> None:
    await live(onair_local, ffmpeg)
    onair_local.manifests.stream("keynote", reconnectWindowSeconds=100_000)
    await until(lambda: "reconnectWindowSeconds" in onair_local.tail(), "the mistake is told")
    assert onair_local.status("keynote")["connected"]
    assert onair_local.status("keynote")["phase"] == "Active"
    await ffmpeg.stop()


async def test_tables_show_what_is_live_now_and_the_open_window(onair_local: Service, ffmpeg: FFmpeg) -> None:
    await live(onair_local, ffmpeg)
    await until(lambda: " excellent " in onair_local.table(streams, "-o", "wide"), "health is in the wide table")
    assert any(cell.endswith("+") for cell in onair_local.table(assets).split())  # its duration so far
    await ffmpeg.kill()
    await until(lambda: "s left)" in onair_local.table(streams), "what is left of the reconnect window is shown")
