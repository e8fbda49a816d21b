"""What a channel does when something in it is broken, and what the others notice of it."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from channel_stage import GOING_LIVE, KEY, THE_END, E, Stage, Stages, config, last, told, types, until

from onair_core.contract import Phase
from onair_media.cmaf import Packager
from onair_media.ingest import channel as channel_module
from onair_media.ingest import production
from onair_media.ingest.channel import Channel
from onair_media.ingest.pipeline import Pipeline
from onair_media.recording.model import AssetDocument, SegmentRecord

OTHER_KEY = "key-of-the-other-stream"


@pytest.fixture
async def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stages]:
    made = Stages(tmp_path, monkeypatch)
    yield made
    await made.close()


@pytest.fixture
async def stage(stages: Stages) -> Stage:
    return await stages.start()


def boom(*_: Any, **__: Any) -> Any:
    raise KeyError("defect")


def break_pipeline(channel: Channel, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """This one and no other, for as long as it lives."""
    pipeline = channel._production.pipeline
    assert pipeline is not None
    for name in names:
        monkeypatch.setattr(pipeline, name, boom)


@pytest.mark.parametrize("names", [("video", "disconnect"), ("audio", "disconnect", "tick"), ("video",)])
async def test_after_a_defect_of_the_packaging_the_broadcast_goes_on_with_the_next_connection(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    encoder = await stage.live(channel)
    before = channel.broadcast
    assert before is not None
    media_end = channel._production.asset_data()["duration"]
    break_pipeline(channel, monkeypatch, *names)
    encoder.send(1, headers=False)
    await encoder.closed()
    assert encoder.said("NetStream.Publish.Failed") == ["The server met an error of its own."]
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "InternalError"
    assert not channel.connected and channel.phase is Phase.ACTIVE and channel.deadline is not None

    encoder = await stage.encoder()
    assert encoder.accepted
    encoder.send(8)
    after = channel.broadcast
    assert after is not None and after.ref.id == before.ref.id and after.ref.epoch == before.ref.epoch + 1
    await until(lambda: channel._production.asset_data()["duration"] > media_end + 6)
    channel.complete(after.ref.id)
    await told(channel, E.ASSET_COMPLETED)
    assert types(channel) == [
        *GOING_LIVE, E.STREAM_DISCONNECTED, E.STREAM_CONNECTED, E.STREAM_DISCONNECTED, *THE_END
    ]  # fmt: skip
    await until(lambda: stage.finished)
    kept = msgspec.json.decode((tmp_path / "assets" / after.ref.id / "asset.json").read_bytes(), type=AssetDocument)
    segments = [msgspec.json.decode(raw, type=SegmentRecord) for raw in kept.segments]
    assert [s.epoch for s in segments] == sorted(s.epoch for s in segments)
    assert {s.epoch for s in segments} == {before.ref.epoch, after.ref.epoch}
    starts = [s.lead.start for s in segments]
    assert starts == sorted(starts), "media time only rises"
    assert last(channel, E.ASSET_COMPLETED).data["duration"] == pytest.approx(kept.duration, abs=0.1)


async def test_a_defect_that_nobody_comes_back_after_ends_the_broadcast_in_order(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await stage.channel(config(recordings=tmp_path, reconnect_window=0.5))
    encoder = await stage.live(channel)
    break_pipeline(channel, monkeypatch, "video", "disconnect")
    encoder.send(1, headers=False)
    await told(channel, E.ASSET_COMPLETED)
    assert types(channel) == [*GOING_LIVE, E.STREAM_DISCONNECTED, *THE_END]
    assert last(channel, E.ASSET_COMPLETED).data["duration"] > 5
    assert channel.window.ended and channel.deadline is None
    await until(lambda: stage.finished)


@pytest.mark.parametrize("window", [0.0, 0.5])
async def test_a_pipeline_that_cannot_even_be_closed_ends_in_order(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, window: float
) -> None:
    channel = await stage.channel(config(reconnect_window=window))
    encoder = await stage.live(channel)
    break_pipeline(channel, monkeypatch, "disconnect")
    await encoder.drop()
    await told(channel, E.STREAM_IDLE)
    assert types(channel) == [E.STREAM_CONNECTED, E.STREAM_ACTIVE, E.STREAM_DISCONNECTED, E.STREAM_IDLE]
    assert (await stage.encoder()).accepted


async def test_a_pipeline_that_cannot_be_closed_does_not_harm_the_broadcast_after_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await stage.channel(config())
    encoder = await stage.live(channel)
    break_pipeline(channel, monkeypatch, "disconnect")
    channel.media_changed(channel_module.CodecChanged("video", "avc", "hevc"))
    encoder.send(8)
    await told(channel, E.STREAM_ACTIVE, 2)
    assert channel.connected


async def test_a_stream_with_a_defect_costs_the_others_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, healthy = await stage.channel(config()), await stage.channel(config("b", OTHER_KEY))
    one, other = await stage.live(broken), await stage.live(healthy)
    break_pipeline(broken, monkeypatch, "video", "audio", "disconnect")
    one.send(1, headers=False)
    await one.closed()
    before = healthy._production.progress
    other.send(4, headers=False)
    await until(lambda: healthy._production.progress != before)
    assert healthy.connected


async def test_a_timer_that_meets_a_defect_cuts_the_publisher(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "PIPELINE_TICK_SECONDS", 0.01)
    channel = await stage.channel(config())
    monkeypatch.setattr(Packager, "tick", boom)
    encoder = await stage.encoder()
    await encoder.closed()
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "InternalError"


async def test_a_publisher_for_whom_nothing_can_be_made_is_refused_and_leaves_nothing_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await stage.channel(config(reconnect_window=0.2))
    with monkeypatch.context() as broken:
        broken.setattr(production, "Pipeline", boom)
        encoder = await stage.encoder()
        assert encoder.said("NetStream.Publish") == ["The server met an error of its own."]
        assert not channel.connected and not channel._sessions
    encoder = await stage.encoder()
    assert encoder.accepted
    encoder.send(8)
    await told(channel, E.STREAM_ACTIVE)
    assert isinstance(channel._production.pipeline, Pipeline)


async def test_an_admission_that_fails_leaves_no_publisher_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await stage.channel(config(reconnect_window=0.2))
    append = channel.journal.append
    failures = iter([KeyError("defect")])

    def fails_once(*given: Any) -> None:
        if failure := next(failures, None):
            raise failure
        append(*given)

    monkeypatch.setattr(channel.journal, "append", fails_once)
    await (await stage.encoder()).closed()
    assert not channel.connected and not channel._sessions
    await told(channel, E.STREAM_IDLE)  # its window is over: a deadline was armed
    assert (await stage.encoder()).accepted


async def test_what_cannot_be_carried_out_does_not_keep_the_rest_from_it(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await stage.channel(config(recordings=tmp_path))
    await stage.live(channel)
    monkeypatch.setattr(channel.window, "end", boom)
    monkeypatch.setattr(channel._production, "asset_data", boom)
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    await told(channel, E.ASSET_COMPLETED)
    assert types(channel)[-3:] == [E.STREAM_DISCONNECTED, *THE_END]
    await until(lambda: stage.finished)


async def test_on_a_full_disk_streams_go_on_and_the_process_can_still_end(
    stages: Stages, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "SHUT_DOWN_SECONDS", 0.2)
    channel = await stage.channel(config())
    healthy = await stage.channel(config("b", OTHER_KEY))

    def full(lines: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(channel.journal, "_extend", full)
    encoder = await stage.encoder()
    encoder.send(8)
    await until(lambda: channel.phase is Phase.ACTIVE)
    assert types(channel) == [], "nothing is told that a crash would take back"
    await stage.encoder(OTHER_KEY)
    await told(healthy, E.STREAM_CONNECTED)
    await stages.stop(stage)


async def test_a_suspended_machine_misses_no_deadline(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = await stage.channel(config())
    await (await stage.live(channel)).drop()
    await told(channel, E.STREAM_DISCONNECTED)
    clock = stage.host.clock
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + 3600)
    monkeypatch.setattr(clock, "slept", lambda: True)
    stage.host._look_at_clock()
    await told(channel, E.STREAM_IDLE)


async def test_the_system_clock_is_looked_at_only_while_nothing_runs_on_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ties: list[bool] = []
    channel = await stage.channel(config())
    monkeypatch.setattr(stage.host.clock, "tie", lambda: ties.append(True))
    stage.host._look_at_clock()
    assert ties
    ties.clear()
    await stage.encoder(KEY)
    assert channel.broadcast is not None
    channel.complete(channel.broadcast.ref.id)
    stage.host._look_at_clock()
    assert not ties, "the encoder has yet to be cut"


async def test_a_refusal_ends_the_connection_behind_the_segments_that_caused_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two segments come out at once, the first one is too much: the connection's last segment is the third."""
    channel = await stage.channel(config())
    await stage.live(channel, 4)
    pipeline = channel._production.pipeline
    assert pipeline is not None
    last_one = channel.window._current._listed[-1]  # type: ignore[union-attr]
    first, second = (replace(last_one, number=last_one.number + n) for n in (1, 2))
    numbers: list[int] = []
    keep = pipeline._window.add_segment
    monkeypatch.setattr(
        pipeline._window, "add_segment", lambda segment: (numbers.append(segment.number), keep(segment))
    )
    monkeypatch.setattr(type(pipeline._window), "too_large", True)
    pipeline._take([first, second])
    assert numbers[:2] == [first.number, second.number]
    assert (await told(channel, E.STREAM_DISCONNECTED)).data["reason"] == "LiveWindowTooLarge"
