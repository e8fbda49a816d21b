"""What the next process makes of what a killed one has left on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import m3u8
import msgspec
import pytest
from channel_stage import GOING_LIVE, THE_END, E, Stage, Stages, config, events, last, media_end, told, types, until

from onair_media.ingest import channel as channel_module
from onair_media.ingest import host as host_module
from onair_media.ingest import production
from onair_media.ingest.channel import Channel
from onair_media.lifecycle import machine
from onair_media.recording.model import AssetDocument


@pytest.fixture
async def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stages]:
    made = Stages(tmp_path / "processes", monkeypatch)
    yield made
    await made.close()


@pytest.fixture
async def stage(stages: Stages) -> Stage:
    return await stages.start()


def playlist(channel: Channel) -> m3u8.M3U8:
    found = channel.window.media_playlist("video")
    assert found is not None
    return m3u8.loads(found.text.decode())


async def settled(channel: Channel) -> None:
    assert await channel.journal.settled(10)


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_killed_process_goes_on_with_the_same_broadcast(
    stages: Stages, stage: Stage, tmp_path: Path, recorded: bool
) -> None:
    made = config(recordings=tmp_path if recorded else None)
    channel = await stage.channel(made)
    await stage.live(channel, 12)
    await settled(channel)
    before, target = channel.broadcast, playlist(channel).target_duration
    shown = channel._production.progress
    assert before is not None and shown is not None
    stage = await stages.kill(stage)

    channel = await stage.channel(made)
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "ServerRestarted"
    encoder = await stage.encoder()
    encoder.send(8)
    await until(lambda: channel.window.playable)
    after = channel.broadcast
    assert after is not None and after.ref.id == before.ref.id and after.ref.epoch > before.ref.epoch
    assert playlist(channel).target_duration == target
    progress = channel._production.progress
    assert progress is not None and progress.tracks == ("video", "audio")
    # Time goes forwards, and by no more than may have been shown.
    assert shown.media_end + 5 < progress.media_end < shown.media_end + 8 + 10
    channel.complete(after.ref.id)
    await told(channel, E.STREAM_IDLE)
    if recorded:
        await until(lambda: stage.finished)
        assert last(channel, E.ASSET_COMPLETED).data["duration"] == pytest.approx(stage.finished[0].duration, abs=0.1)


async def test_a_window_that_passed_meanwhile_ends_the_broadcast_with_what_is_in_the_store(
    stages: Stages, stage: Stage, tmp_path: Path
) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    await stage.live(channel)
    await settled(channel)
    stage = await stages.kill(stage)
    channel = await stage.channel(config(recordings=tmp_path, reconnect_window=0.0))
    await told(channel, E.ASSET_COMPLETED)
    assert types(channel) == [*GOING_LIVE, E.STREAM_DISCONNECTED, *THE_END]
    await until(lambda: stage.finished)
    assert last(channel, E.ASSET_COMPLETED).data["duration"] == pytest.approx(stage.finished[0].duration, abs=0.01)


async def test_a_recording_that_was_switched_off_meanwhile_is_finished_where_it_began(
    stages: Stages, stage: Stage, tmp_path: Path
) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    await stage.live(channel)
    await settled(channel)
    stage = await stages.kill(stage)
    channel = await stage.channel(config())
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    completed = await told(channel, E.ASSET_COMPLETED)
    assert completed.data["duration"] > 5 and completed.broadcast is not None
    await until(lambda: stage.finished)
    path = tmp_path / "assets" / completed.broadcast.id / "asset.json"
    assert msgspec.json.decode(path.read_bytes(), type=AssetDocument).duration > 5


async def test_how_far_the_media_has_come_is_noted_now_and_then(stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    noted: list[float] = []
    for _ in range(40):
        encoder.send(1, headers=False)
    await until(lambda: media_end(channel) > 40)
    await settled(channel)
    for line in channel.journal._path.read_bytes().splitlines():
        progress = (msgspec.json.decode(line)["state"].get("broadcast") or {}).get("progress")
        if progress is not None and progress["media_end"] not in noted:
            noted.append(progress["media_end"])
    assert noted == sorted(noted)
    assert 4 <= len(noted) <= 6
    assert max(b - a for a, b in zip(noted, noted[1:], strict=False)) <= channel_module.PROGRESS_SECONDS + 3


async def test_what_a_disconnect_leaves_is_known_exactly(stages: Stages, stage: Stage) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel, 9)
    await encoder.drop()
    await told(channel, E.STREAM_DISCONNECTED)
    shown = channel._production.progress
    await settled(channel)
    stage = await stages.kill(stage)
    channel = await stage.channel(config())
    assert shown is not None and channel._production.progress == shown


async def test_a_sign_of_life_from_an_hour_ago_does_not_end_a_broadcast_that_began_since(
    stages: Stages, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "ALIVE_SECONDS", 3600)
    stage = await stages.restart(stage)
    channel = await stage.channel(config())
    await stage.live(channel)
    await settled(channel)
    alive = stage.folder / "ingest" / "alive"
    assert float(alive.read_text()) == pytest.approx(stage.host.clock.now(), abs=60), "left when the publisher came"
    alive.write_text(f"{stage.host.clock.now() - 3600:.3f}\n")
    stage = await stages.kill(stage)
    channel = await stage.channel(config())
    await told(channel, E.STREAM_DISCONNECTED)
    assert channel.broadcast is not None and E.STREAM_IDLE not in types(channel)


async def test_an_encoder_that_was_to_be_cut_is_forgotten_with_its_process(
    stages: Stages, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CUT_AFTER_COMPLETE_SECONDS", 1.0)
    channel = await stage.channel(config())
    await stage.live(channel)
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    await settled(channel)
    stage = await stages.kill(stage)
    channel = await stage.channel(config())
    assert channel.deadline is None
    encoder = await stage.encoder()  # its connection has the number that the other one had
    encoder.send(8)
    await told(channel, E.STREAM_ACTIVE, 2)
    assert encoder.accepted and channel.connected


@pytest.mark.parametrize("how", ["lost", "damaged"])
async def test_without_its_journal_a_stream_is_not_silenced(stages: Stages, stage: Stage, how: str) -> None:
    channel = await stage.channel(config())
    for _ in range(4):
        await stage.encoder()
        assert channel.broadcast is not None
        channel.complete(channel.broadcast.ref.id)
    await settled(channel)
    newest = events(channel)[-1]
    folder = stage.folder
    await stages.stop(stage)
    journal = folder / "ingest" / "journals" / f"{channel.config.stream.uid}.jsonl"
    if how == "lost":
        journal.unlink()
    else:
        journal.write_bytes(b"\0" * journal.stat().st_size + b"\n")
    stage = await stages.start(folder)
    channel = await stage.channel(config(), after=(newest.epoch, newest.n))
    await stage.live(channel)
    await settled(channel)
    seen = channel.journal.after(newest.epoch, newest.n)
    assert [event.type for event in seen] == [E.STREAM_CONNECTED, E.STREAM_ACTIVE]
    assert journal.with_name(journal.name + ".damaged").exists() is (how == "damaged")


async def test_a_state_that_cannot_be_read_begins_anew(stages: Stages, stage: Stage) -> None:
    channel = await stage.channel(config())
    await stage.live(channel)
    await settled(channel)
    folder, journal = stage.folder, channel.journal._path
    await stages.stop(stage)
    journal.write_bytes(journal.read_bytes().replace(b'"publisher":', b'"publisher":"?","was":'))
    stage = await stages.start(folder)
    channel = await stage.channel(config())
    assert channel.broadcast is None
    assert (await stage.encoder()).accepted


async def test_a_recording_that_cannot_be_reopened_ends_no_stream(
    stages: Stages, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    await stage.live(channel)
    await settled(channel)

    async def broken(*_: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(production.Studio, "reopen", broken)
    stage = await stages.kill(stage)
    channel = await stage.channel(config(recordings=tmp_path))
    encoder = await stage.encoder()
    encoder.send(8)
    await until(lambda: channel.window.playable)
    assert channel.connected
