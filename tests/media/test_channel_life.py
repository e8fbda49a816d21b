"""A channel's life over real connections: who may publish, what encoders are told, what is played and what is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import m3u8
import msgspec
import pytest
from channel_stage import GOING_LIVE, KEY, THE_END, E, Stage, Stages, config, events, last, told, types, until

from onair_core.contract import AssetSettings, IngestProblem, Phase, StoreSettings, Takeover
from onair_media.cmaf import CodecChanged
from onair_media.ingest import channel as channel_module
from onair_media.ingest.channel import Channel
from onair_media.lifecycle import machine
from onair_media.recording.model import AssetDocument

OTHER_KEY = "another-key-for-the-stream"


@pytest.fixture
async def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stages]:
    made = Stages(tmp_path, monkeypatch)
    yield made
    await made.close()


@pytest.fixture
async def stage(stages: Stages) -> Stage:
    return await stages.start()


def playlist(channel: Channel) -> m3u8.M3U8:
    found = channel.window.media_playlist("video")
    assert found is not None
    return m3u8.loads(found.text.decode())


def asset(recordings: Path, channel: Channel) -> AssetDocument:
    broadcast = last(channel, E.STREAM_IDLE).broadcast
    assert broadcast is not None
    return msgspec.json.decode((recordings / "assets" / broadcast.id / "asset.json").read_bytes(), type=AssetDocument)


async def test_an_encoder_that_returns_inside_the_window_goes_on_with_the_same_asset(
    stage: Stage, tmp_path: Path
) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    first = await stage.live(channel)
    assert channel.phase is Phase.ACTIVE and types(channel) == GOING_LIVE
    await first.drop()
    away = (await told(channel, E.STREAM_DISCONNECTED)).data
    assert away["reason"] == "ConnectionLost" and away["duration"] > 0, "the asset's, as far as it has come"
    assert channel.phase is Phase.ACTIVE and not channel.window.ended

    second = await stage.encoder()
    second.send(6)
    await until(lambda: any(segment.discontinuity for segment in playlist(channel).segments))
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    await told(channel, E.ASSET_COMPLETED)
    assert types(channel) == [
        *GOING_LIVE, E.STREAM_DISCONNECTED, E.STREAM_CONNECTED, E.STREAM_DISCONNECTED, *THE_END
    ]  # fmt: skip
    assert channel.window.ended and playlist(channel).is_endlist
    await until(lambda: stage.finished)
    kept = asset(tmp_path, channel)
    assert len(kept.recording_times) == 2
    assert last(channel, E.ASSET_COMPLETED).data["duration"] == pytest.approx(kept.duration, abs=0.1)


async def test_a_clean_stop_is_told_from_a_lost_connection(stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    await encoder.stop()
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "CleanStop"


async def test_a_second_encoder_is_refused_while_the_first_sends(stage: Stage) -> None:
    channel = await stage.channel(config())
    first = await stage.live(channel)
    second = await stage.encoder()
    assert second.said("NetStream.Publish.BadName") == ["Another encoder is publishing to this stream."]
    await second.closed()
    before = channel.bytes_received
    first.send(1, headers=False)
    await until(lambda: channel.bytes_received > before)
    assert channel.connected and types(channel) == [E.STREAM_CONNECTED, E.STREAM_ACTIVE]


@pytest.mark.parametrize("options", [{"takeover": Takeover.NEWEST}, {"publisher_timeout": 0.0}])
async def test_a_takeover_happens_inside_the_same_broadcast(stage: Stage, options: dict[str, object]) -> None:
    channel = await stage.channel(config(**options))
    first = await stage.live(channel)
    before = channel.broadcast
    second = await stage.encoder()
    assert second.accepted
    await first.closed()
    assert first.said("NetStream.Publish.BadName") == ["Another encoder has taken over."]
    second.send(6)
    await until(lambda: any(segment.discontinuity for segment in playlist(channel).segments))
    assert before is not None and channel.broadcast is not None and channel.broadcast.ref == before.ref
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "Replaced"


async def test_a_new_key_cuts_the_encoder_and_the_old_one_is_refused(stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    await stage.channel(config(key=OTHER_KEY))
    await encoder.closed()
    assert encoder.said("NetStream.Publish.BadName") == ["The stream key was reset."]
    assert (await told(channel, E.STREAM_IDLE)).data["reason"] == "KeyReset"
    assert (await stage.encoder(KEY)).said("NetStream.Publish.BadName") == ["No stream has this key."]
    assert (await stage.encoder(OTHER_KEY)).accepted and channel.connected


async def test_two_streams_exchange_their_keys(stage: Stage) -> None:
    a = await stage.channel(config("a", KEY))
    b = await stage.channel(config("b", OTHER_KEY))
    await stage.channel(config("a", OTHER_KEY))
    await stage.channel(config("b", KEY))
    assert (await stage.encoder(KEY)).accepted
    assert (a.connected, b.connected) == (False, True)
    assert (await stage.encoder(OTHER_KEY)).accepted
    assert a.connected


async def test_disabling_cuts_at_once_and_refuses_until_it_is_enabled(stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    await stage.channel(config(disabled=True))
    await encoder.closed()
    assert encoder.said("NetStream.Publish.Denied") == ["The stream was disabled."]
    await told(channel, E.STREAM_IDLE)
    assert channel.phase is Phase.DISABLED
    assert (await stage.encoder()).said("NetStream.Publish.BadName") == ["The stream is disabled."]
    await stage.channel(config())
    assert (await stage.encoder()).accepted


async def test_a_stream_that_is_deleted_and_comes_back_takes_publishers_again(stages: Stages, stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    stage.host.remove(channel.config.stream)
    await encoder.closed()
    assert encoder.said("NetStream.Publish.BadName") == ["The stream was deleted."]
    assert (await stage.encoder()).said("NetStream.Publish.BadName") == ["No stream has this key."]
    await stage.channel(config())
    encoder = await stage.encoder()
    assert encoder.accepted
    stage = await stages.restart(stage)
    await stage.channel(config())
    assert (await stage.encoder()).accepted


async def test_complete_cuts_the_encoder_later_and_keeps_nothing_of_what_it_sends_meanwhile(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CUT_AFTER_COMPLETE_SECONDS", 0.5)
    channel = await stage.channel(config(recordings=tmp_path))
    encoder = await stage.live(channel)
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    encoder.send(10, headers=False)
    await encoder.closed()
    assert encoder.said("NetStream.Unpublish.Success") == ["The broadcast is complete."]
    await until(lambda: stage.finished)
    assert asset(tmp_path, channel).duration <= 8.1
    assert types(channel) == [*GOING_LIVE, E.STREAM_DISCONNECTED, *THE_END]


async def test_the_ended_playlist_goes_when_its_time_is_over_also_while_the_next_encoder_shows_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "ENDED_WINDOW_SECONDS", 0.3)
    channel = await stage.channel(config())
    await stage.live(channel)
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    assert channel.window.playable and channel.window.ended
    assert (await stage.encoder()).accepted
    await until(lambda: not channel.window.playable)
    assert channel.connected


async def test_each_ended_playlist_has_its_own_time(stage: Stage) -> None:
    channel = await stage.channel(config())
    clearings = []
    for _ in range(2):
        encoder = await stage.encoder()
        encoder.send(8)
        await until(lambda: channel.phase is Phase.ACTIVE)
        assert channel.broadcast is not None
        channel.complete(channel.broadcast.ref.id)
        clearings.append(channel._clearing)
        await told(channel, E.STREAM_IDLE, len(clearings))
    first, second = clearings
    assert first is not None and first.cancelled()
    assert second is not None and not second.cancelled()


async def test_media_that_cannot_be_taken_is_explained_to_everyone(stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    channel.media_refused(IngestProblem.BITRATE_EXCEEDED, "The stream has 90 Mbit/s; the class allows 20.")
    await encoder.closed()
    assert encoder.said("NetStream.Publish.Failed") == ["The stream has 90 Mbit/s; the class allows 20."]
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "IngestBitrateExceeded"
    assert last(channel, E.STREAM_WARNING).data["message"] == "The stream has 90 Mbit/s; the class allows 20."
    assert (await stage.encoder()).accepted, "the window is open"


async def test_another_codec_begins_another_broadcast_and_the_encoder_stays(stage: Stage, tmp_path: Path) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    encoder = await stage.live(channel)
    before = channel.broadcast
    channel.media_changed(CodecChanged("video", "avc", "hevc"))
    after = channel.broadcast
    assert before is not None and after is not None and before.ref.id != after.ref.id
    encoder.send(8)
    await told(channel, E.ASSET_READY, 2)
    assert types(channel) == [*GOING_LIVE, E.STREAM_DISCONNECTED, *THE_END, *GOING_LIVE]
    assert last(channel, E.STREAM_DISCONNECTED).data["reason"] == "CodecChanged"
    first = playlist(channel).segments[0]
    assert first.program_date_time is not None
    assert abs(first.program_date_time.timestamp() - stage.host.clock.now()) < 60


SORENSON = b"\x12\0\0\0\0"


async def test_an_encoder_whose_video_was_refused_comes_back_with_another_and_has_a_broadcast_with_video(
    stage: Stage, tmp_path: Path
) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    encoder = await stage.encoder()
    encoder.announce()
    encoder.sound()
    encoder.picture(SORENSON)
    await encoder.closed()
    await told(channel, E.STREAM_DISCONNECTED)
    refused = [E.STREAM_CONNECTED, E.ASSET_CREATED, E.STREAM_RECORDING, E.STREAM_WARNING, E.STREAM_DISCONNECTED]
    assert types(channel) == refused, "what it recorded is told before that it is gone"

    encoder = await stage.encoder()
    encoder.send(8)
    await told(channel, E.ASSET_READY)
    again = [E.STREAM_CONNECTED, E.STREAM_DISCONNECTED, *THE_END, *GOING_LIVE]
    assert types(channel) == [*refused, *again]
    assert last(channel, E.STREAM_IDLE).data["reason"] == "TracksChanged"
    assert {track["type"] for track in last(channel, E.ASSET_READY).data["tracks"]} == {"video", "audio"}
    assert playlist(channel).segments


async def test_a_track_that_is_left_out_of_a_live_broadcast_is_told_with_what_to_do(stage: Stage) -> None:
    channel = await stage.channel(config())
    first = await stage.encoder()
    first.send(8, sound=False)
    await told(channel, E.STREAM_ACTIVE)
    await first.drop()
    await told(channel, E.STREAM_DISCONNECTED)
    second = await stage.encoder()
    second.send(4)
    warning = await told(channel, E.STREAM_WARNING)
    assert warning.data["reason"] == IngestProblem.TRACK_IGNORED
    assert warning.data["message"].startswith("Sound came that the broadcast began without: it is left out.")
    assert "onair complete a -n tests" in warning.data["message"]
    assert channel.connected and types(channel).count(E.STREAM_WARNING) == 1

    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    await told(channel, E.STREAM_IDLE)
    third = await stage.encoder()
    third.send(8)
    await told(channel, E.STREAM_ACTIVE, 2)
    assert channel.window.media_playlist("audio") is not None


async def test_a_gop_that_never_ends_is_told_when_the_next_keyframe_is_overdue(stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    encoder.send(3, headers=False, gop=10_000)
    warning = await told(channel, E.STREAM_WARNING)
    assert warning.data["reason"] == IngestProblem.GOP_TOO_LONG
    assert warning.data["message"].startswith("No keyframe came for 2.5 s; more than 2 s makes")
    assert channel.connected


async def test_an_encoder_that_flags_no_keyframe_goes_live_as_any_other(stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.encoder()
    encoder.send(8, flagged=False)
    await told(channel, E.STREAM_ACTIVE)
    await until(lambda: channel.health().keyframes == 8)
    assert channel.health().longest_keyframe_interval == 1.0
    assert types(channel) == [E.STREAM_CONNECTED, E.STREAM_ACTIVE]


async def test_a_stream_of_sound_does_not_mind_the_codec_of_the_video_that_it_drops(stage: Stage) -> None:
    channel = await stage.channel(config(audio_only=True))
    encoder = await stage.encoder()
    encoder.announce()
    encoder.picture(SORENSON)
    encoder.send(8)
    await told(channel, E.STREAM_ACTIVE)
    await until(lambda: channel.dropped["video of an audio-only stream"] > 200)
    assert channel.connected
    assert types(channel) == [E.STREAM_CONNECTED, E.STREAM_ACTIVE]
    assert channel.health().frame_rate is None


async def test_a_store_that_cannot_be_opened_makes_no_asset(stage: Stage) -> None:
    broken = AssetSettings(store=StoreSettings(url="no-such-scheme://recordings"))
    channel = await stage.channel(config(asset=broken))
    await stage.live(channel)
    warning = await told(channel, E.STREAM_WARNING)
    assert warning.data["reason"] == "StoreUnavailable"
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    await told(channel, E.STREAM_IDLE)
    assert not [event.type for event in events(channel) if event.type.startswith("video.asset.")]
    assert E.STREAM_RECORDING not in types(channel)
