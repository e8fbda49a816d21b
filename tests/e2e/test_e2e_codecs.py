"""Enhanced RTMP from a real encoder to a real viewer: every codec, several tracks, and what cannot be taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from encoders import (
    AAC,
    AC3,
    AV1,
    EAC3,
    FLAC,
    MP3,
    OPUS,
    VP9,
    X264,
    X264_OPEN,
    X265,
    X265_OPEN,
    FFmpeg,
    FFmpeg9,
    Tracks,
    need,
)
from playwright.async_api import expect
from service import Service, until
from viewers import Viewer, decode, following, get, playlists, rendition_urls, watch_url
from wiretap import wiretap

CODECS = {
    "hevc and aac": (Tracks(X265, (AAC,)), "hvc1.1.6.L60.90,mp4a.40.2"),
    "av1 and opus": (Tracks(AV1, (OPUS,)), "av01.0.00M.08,Opus"),
    "vp9 and opus": (Tracks(VP9, (OPUS,)), "vp09.00.11.08,Opus"),
    "h264 and flac": (Tracks(X264, (FLAC,)), "avc1.42c00d,fLaC"),
    "h264 and ac-3": (Tracks(X264, (AC3,)), "avc1.42c00d,ac-3"),
    "h264 and e-ac-3": (Tracks(X264, (EAC3,)), "avc1.42c00d,ec-3"),
    "h264 and mp3": (Tracks(X264, (MP3,)), "avc1.42c00d,mp4a.40.34"),
    "opus alone": (Tracks((), (OPUS,)), "Opus"),
}


@pytest.mark.parametrize("name", CODECS)
async def test_a_codec_goes_live_and_is_decoded(onair_local: Service, tmp_path: Path, name: str) -> None:
    tracks, codecs = CODECS[name]
    encoder = FFmpeg9(tmp_path / "ffmpeg9.log", tracks)
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    url = onair_local.playback_url("keynote")
    assert f'CODECS="{codecs}"' in (await get(url))[1]
    async with following(url) as followers:
        decoded = await decode(url, first_seconds=2)
        await until(lambda: all(len(f.segments) >= 3 for f in followers.values()), "three segments of each rendition")
    assert decoded.complaints == ""
    assert decoded.video >= (30 if tracks.video else 0)
    assert decoded.audio >= 20
    await encoder.stop()
    await onair_local.has("keynote", "disconnected")
    assert onair_local.events("keynote")[-1]["reason"] == "CleanStop"
    onair_local.complete("keynote")
    await onair_local.has("keynote", "idle")
    (asset,) = onair_local.assets("keynote")
    recorded = await decode(asset["status"]["playback"][0]["url"])
    assert recorded.complaints == ""
    assert recorded.audio >= decoded.audio


@pytest.mark.parametrize("video", [X265_OPEN, X264_OPEN], ids=["hevc", "h264"])
async def test_open_gops_go_live_without_a_claim_that_they_break(
    onair_local: Service, tmp_path: Path, video: tuple[str, ...]
) -> None:
    """RFC 8216bis 4.4.2.1: from the second GOP on, segments need the one before them."""
    encoder = FFmpeg9(tmp_path / "ffmpeg9.log", Tracks(video, (AAC,)))
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "asset.ready")
    url = onair_local.playback_url("keynote")
    async with following(url) as followers:
        await until(lambda: all(len(f.segments) >= 4 for f in followers.values()), "four segments of each rendition")
    claim = "#EXT-X-INDEPENDENT-SEGMENTS"
    assert claim not in (await get((await rendition_urls(url))["video"]))[1]
    await encoder.kill()
    await onair_local.has("keynote", "disconnected")
    again = FFmpeg9(tmp_path / "again.log", Tracks(video, (AAC,)))
    await again.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "connected", "disconnected", "connected")
    async with following(url) as followers:
        await until(lambda: any(f.discontinuity_numbers for f in followers.values()), "the publisher is back")
    await again.stop()
    onair_local.complete("keynote")
    await onair_local.has("keynote", "idle")
    (asset,) = onair_local.assets("keynote")
    recording = asset["status"]["playback"][0]["url"]
    decoded = await decode(recording)
    assert decoded.complaints == ""
    listed = (await playlists(recording))["video"]
    assert decoded.video == pytest.approx(listed.duration * 30, abs=2), "not one picture is missing"
    assert claim not in (await get((await rendition_urls(recording))["video"]))[1]


async def test_two_sounds_are_two_renditions(onair_local: Service, tmp_path: Path) -> None:
    encoder = FFmpeg9(tmp_path / "ffmpeg9.log", Tracks(X265, (AAC, OPUS)))
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    url = onair_local.playback_url("keynote")
    assert list(await playlists(url)) == ["video", "audio", "audio-1"]
    async with following(url) as followers:
        await until(lambda: all(len(f.segments) >= 4 for f in followers.values()), "four segments of each rendition")
    decoded = await decode(url, first_seconds=2)
    assert decoded.complaints == ""
    await encoder.stop()


async def test_of_two_pictures_the_first_is_shown(onair_local: Service, tmp_path: Path) -> None:
    encoder = FFmpeg9(tmp_path / "ffmpeg9.log", Tracks(X264, (AAC,), video_tracks=2))
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    url = onair_local.playback_url("keynote")
    assert list(await playlists(url)) == ["video", "audio"]
    assert (await decode(url, first_seconds=2)).complaints == ""
    assert 'reason="another video track"' in (await get(f"{onair_local.endpoint.http}/metrics"))[1]  # type: ignore[union-attr]
    await encoder.stop()


async def test_an_encoder_that_asks_what_is_understood_is_told(onair_local: Service, tmp_path: Path) -> None:
    encoder = FFmpeg9(tmp_path / "ffmpeg9.log", Tracks(X265, (AAC,)), "-rtmp_enhanced_codecs", "hvc1,av01,vp09")
    async with wiretap(onair_local.publish_url("keynote")) as tap:
        await encoder.start(tap.url)
        await onair_local.has("keynote", "active")
        await encoder.stop()
    answer = tap.connect_answer()
    understood = {"avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", "fLaC", "ac-3", "ec-3", ".mp3"}
    listed, video, audio = answer["fourCcList"], answer["videoFourCcInfoMap"], answer["audioFourCcInfoMap"]
    assert isinstance(listed, list) and isinstance(video, dict) and isinstance(audio, dict)
    assert set(listed) == set(video) | set(audio) == understood
    assert answer["capsEx"] == 14  # several tracks, ModEx, nanoseconds; no reconnect request


@pytest.mark.browser
@pytest.mark.parametrize("name", ["av1 and opus", "vp9 and opus", "h264 and flac"])
async def test_chromium_plays_it(onair_local: Service, tmp_path: Path, viewer: Viewer, name: str) -> None:
    encoder = FFmpeg9(tmp_path / "ffmpeg9.log", CODECS[name][0])
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    await viewer.open(watch_url(onair_local.playback_url("keynote")))
    await viewer.sees("live", "playing")
    await viewer.moves_on(2.0)
    await encoder.stop()


@pytest.mark.browser
async def test_a_viewer_chooses_the_sound(onair_local: Service, tmp_path: Path, viewer: Viewer) -> None:
    encoder = FFmpeg9(tmp_path / "ffmpeg9.log", Tracks(X264, (AAC, AAC)))
    await encoder.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    url = onair_local.playback_url("keynote")
    asked: list[str] = []
    viewer.page.on("request", lambda request: asked.append(request.url))
    await viewer.open(watch_url(url))
    await viewer.moves_on()
    menu = viewer.page.locator("#sounds")
    await expect(menu).to_be_visible()
    assert await menu.locator("option").all_text_contents() == ["Main", "Track 1"]
    assert not any("/audio-1/" in address for address in asked), "the default is played first"
    await menu.select_option("Track 1")
    await until(lambda: any("/audio-1/" in address for address in asked), "the other sound is loaded")
    await viewer.moves_on()
    await viewer.page.screenshot(path=tmp_path / "sounds.png")
    await encoder.stop()


class Sorenson(FFmpeg):
    def command(self, url: str) -> list[str]:
        return [
            need("ffmpeg"), "-hide_banner", "-nostdin", "-loglevel", "error", "-re",
            "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-c:v", "flv", "-f", "flv", url,
        ]  # fmt: skip


async def test_a_codec_that_cannot_be_packaged_is_refused_by_name(onair_local: Service, tmp_path: Path) -> None:
    encoder = Sorenson(tmp_path / "ffmpeg.log")
    await encoder.start(onair_local.publish_url("keynote"))
    assert await encoder.ended() != 0, "the encoder is told"
    await onair_local.has("keynote", "warning", "disconnected")
    events = onair_local.events("keynote")
    assert [e["reason"] for e in events if e["type"].endswith(("warning", "disconnected"))] == [
        "UnsupportedVideoCodec"
    ] * 2
    (healthy,) = [c for c in onair_local.status("keynote")["conditions"] if c["type"] == "IngestHealthy"]
    assert (healthy["status"], healthy["reason"]) == ("False", "UnsupportedVideoCodec")
    assert "Sorenson H.263 cannot be packaged" in healthy["message"]


async def test_another_codec_is_another_broadcast(onair_local: Service, tmp_path: Path, ffmpeg: FFmpeg) -> None:
    """Inside the reconnect window, too: players cannot go on with another codec family."""
    await ffmpeg.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active")
    await ffmpeg.kill()
    await onair_local.has("keynote", "disconnected")
    other = FFmpeg9(tmp_path / "ffmpeg9.log", Tracks(X265, (AAC,)))
    await other.start(onair_local.publish_url("keynote"))
    await onair_local.has("keynote", "active", "idle", "asset.live_stream_completed", "active")
    url = onair_local.playback_url("keynote")
    assert 'CODECS="hvc1.' in (await get(url))[1]
    assert (await decode(url, first_seconds=2)).complaints == ""
    assert len(onair_local.assets("keynote")) == 2
    await other.stop()
