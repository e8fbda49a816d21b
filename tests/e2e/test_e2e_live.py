"""Going live: each encoder's stream is decoded by a real viewer, and each ends in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from encoders import AudioFFmpeg, Encoder, FFmpeg, LibRtmp, RtmpDump
from service import Service, until
from viewers import decode, following, get, playlists

ONE_BROADCAST = ["connected", "asset.created", "recording", "active", "asset.ready"]


async def is_watched_live(service: Service, encoder: Encoder) -> None:
    """Live, decoded, followed by rule; then stopped in order."""
    url = service.playback_url("keynote")
    assert (await get(url))[0] == 412
    await encoder.start(service.publish_url("keynote"))
    await service.has("keynote", "active", "asset.ready")
    status = service.status("keynote")
    assert (status["phase"], status["connected"], status["recording"]) == ("Active", True, True)
    async with following(url) as followers:
        decoded = await decode(url, first_seconds=3)
        assert decoded.complaints == ""
        assert decoded.video >= 60
        assert decoded.audio >= 90
        await until(lambda: all(len(f.segments) >= 4 for f in followers.values()), "four segments of each rendition")
    await encoder.stop()
    await service.has("keynote", "disconnected")
    assert [kind for kind in service.types("keynote") if kind != "created"] == [*ONE_BROADCAST, "disconnected"]


@pytest.mark.parametrize("name", ["ffmpeg", "gstreamer", "rtmpsink", "librtmp", "push"])
async def test_an_encoder_goes_live(onair_local: Service, name: str, request: pytest.FixtureRequest) -> None:
    encoder = request.getfixturevalue(name)
    await is_watched_live(onair_local, encoder)
    assert onair_local.events("keynote")[-1]["reason"] == "CleanStop"


@pytest.mark.parametrize("name", ["ffmpeg", "librtmp"])
async def test_rtmps_on_the_same_port(onair_local: Service, name: str, request: pytest.FixtureRequest) -> None:
    encoder: Encoder = request.getfixturevalue(name)
    await encoder.start(onair_local.publish_url("keynote", "rtmps"))
    await onair_local.has("keynote", "active")
    await encoder.stop()
    await onair_local.has("keynote", "disconnected")
    assert onair_local.events("keynote")[-1]["reason"] == "CleanStop"


async def test_librtmp_after_four_hours_and_forty_minutes(onair_local: Service, tmp_path: Path) -> None:
    """Its timestamps pass 0xFFFFFF while it is live: from there on they are extended ones, in its own dialect."""
    encoder = LibRtmp(tmp_path / "librtmp.log", "-output_ts_offset", "16773")
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    async with following(onair_local.playback_url("keynote")) as followers:
        await until(lambda: followers["video"].segments and len(followers["video"].segments) >= 6, "six segments")
    assert not any(follower.discontinuities for follower in followers.values())
    decoded = await decode(onair_local.playback_url("keynote"), first_seconds=8)
    assert decoded.complaints == ""
    await encoder.stop()


async def test_a_killed_librtmp_is_a_lost_connection(onair_local: Service, librtmp: LibRtmp) -> None:
    await librtmp.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    await librtmp.kill()
    await onair_local.has("keynote", "disconnected")
    assert onair_local.events("keynote")[-1]["reason"] == "ConnectionLost"


@pytest.mark.parametrize("live", [False, True])
async def test_rtmpdump_hears_that_nothing_is_played_here(
    onair_local: Service, ffmpeg: FFmpeg, rtmpdump: RtmpDump, live: bool
) -> None:
    if live:
        await ffmpeg.start(onair_local.publish_url("keynote"))
        await onair_local.has("keynote", "active")
    await rtmpdump.start(onair_local.publish_url("keynote"))
    assert await rtmpdump.ended() != 0
    assert "NetStream.Play.Failed" in rtmpdump.output
    assert "Traceback" not in onair_local.log.read_text()
    if live:
        await ffmpeg.stop()
    assert onair_local.types("keynote").count("connected") == live


async def test_sound_alone_is_a_stream(onair_local: Service, audio_ffmpeg: AudioFFmpeg) -> None:
    await audio_ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    url = onair_local.playback_url("keynote")
    decoded = await decode(url, first_seconds=2)
    assert (decoded.video, decoded.complaints) == (0, "")
    assert decoded.audio >= 60
    assert list(await playlists(url)) == ["audio"]
    await audio_ffmpeg.stop()


async def test_audio_only_drops_the_picture(onair_local: Service, ffmpeg: FFmpeg) -> None:
    onair_local.manifests.stream("radio", audioOnly=True)
    await onair_local.provisioned("radio")
    await ffmpeg.start(onair_local.publish_url("radio"))
    await onair_local.has("radio", "active")
    assert list(await playlists(onair_local.playback_url("radio"))) == ["audio"]
    await ffmpeg.stop()


async def test_a_wrong_key_is_refused(onair_local: Service, ffmpeg: FFmpeg) -> None:
    assert onair_local.endpoint is not None
    await ffmpeg.start(f"{onair_local.endpoint.rtmp}/app/not-the-key-of-anything")
    assert await ffmpeg.ended() != 0
    assert onair_local.types("keynote") == ["created"]
    assert "not-the-key-of-anything" not in onair_local.tail(1000)


async def test_a_second_publisher_is_refused_and_the_first_goes_on(
    onair_local: Service, ffmpeg: FFmpeg, second_ffmpeg: FFmpeg
) -> None:
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    async with following(onair_local.playback_url("keynote")) as followers:
        await second_ffmpeg.start(onair_local.publish_url("keynote"))
        assert await second_ffmpeg.ended() != 0
        seen = len(followers["video"].segments)
        await until(lambda: len(followers["video"].segments) >= seen + 2, "the first goes on")
        assert followers["video"].discontinuities == 0
    await ffmpeg.stop()
    assert onair_local.types("keynote").count("connected") == 1


async def test_no_key_appears_anywhere(onair_local: Service, ffmpeg: FFmpeg) -> None:
    key = onair_local.key("keynote")
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    await ffmpeg.stop()
    await onair_local.has("keynote", "disconnected")
    assert key not in onair_local.tail(10_000)
    assert key not in str(onair_local.events("keynote"))
    assert key not in str(onair_local.stream("keynote"))
    assert key not in str(onair_local.assets("keynote"))


async def test_two_channels_at_once_do_not_meet(onair_local: Service, ffmpeg: FFmpeg, second_ffmpeg: FFmpeg) -> None:
    onair_local.manifests.stream("workshop")
    await onair_local.provisioned("workshop")
    await asyncio.gather(
        ffmpeg.start(onair_local.publish_url("keynote")), second_ffmpeg.start(onair_local.publish_url("workshop"))
    )
    await asyncio.gather(onair_local.has("keynote", "active"), onair_local.has("workshop", "active"))
    await ffmpeg.stop()
    await onair_local.has("keynote", "disconnected")
    assert onair_local.status("workshop")["connected"]
    await second_ffmpeg.stop()
