"""A broadcast that is recorded in an object store outlives its pod, and the store may be away meanwhile."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from pathlib import Path

import msgspec
import pytest
from ingest_pod import GOING_LIVE, E, Pod, types
from viewers import decode

from onair_core.contract import Cursor, EventType, JournalEvent, OpenBroadcast, ServedAsset
from onair_media.store import open_store
from onair_media.tasks.export import export
from s3_server import S3Server

Events = list[JournalEvent]


def pod(s3: S3Server, folder: Path) -> Pod:
    return Pod(folder, store=s3.settings, credentials=s3.credentials)


async def until(condition: object, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.05)


def entries(s3: S3Server) -> list[str]:
    return [name for name in s3.objects if "/manifest/" in name]


def asset_of(events: Events) -> str:
    broadcast = events[0].broadcast
    assert broadcast is not None
    return broadcast.id


def document(s3: S3Server, asset: str) -> dict[str, object]:
    text = (s3.folder / "recordings" / "onair" / "assets" / asset / "asset.json").read_text()
    found: dict[str, object] = json.loads(text)
    return found


async def test_the_next_pod_goes_on_with_the_recording_of_one_that_is_gone(s3: S3Server, tmp_path: Path) -> None:
    first = pod(s3, tmp_path / "first")
    await first.start()
    async with first.publisher():
        told = await first.events_until(E.ASSET_READY)
        assert types(told) == GOING_LIVE
        await until(lambda: len(entries(s3)) >= 4)
        await first.stop(signal.SIGKILL)
    shutil.rmtree(first.data)  # with the node
    asset, stored = asset_of(told), len(entries(s3))

    second = pod(s3, tmp_path / "second")
    newest = Cursor(told[-1].epoch, told[-1].n)
    begun = OpenBroadcast(id=asset, store=s3.settings.url, started_at=told[0].at, active=True, ready=True)
    second.begins_with(msgspec.structs.replace(second.config, taken=newest, resumes=begun))
    await second.start()
    try:
        first_of_second = await second.events_until(E.STREAM_DISCONNECTED)
        assert types(first_of_second) == [E.STREAM_DISCONNECTED] and asset_of(first_of_second) == asset
        assert first_of_second[0].epoch > told[-1].epoch
        async with second.publisher():
            again = await second.events_until(E.STREAM_CONNECTED)
            assert asset_of(again) == asset and E.ASSET_CREATED not in types(again)
            await until(lambda: len(entries(s3)) >= stored + 3)
            async with second.asked("POST", f"/v1/broadcasts/{asset}/complete") as answer:
                assert answer.status == 204
            ended = await second.events_until(E.ASSET_COMPLETED)
        await until(lambda: f"assets/{asset}/asset.json" in s3.objects)
        recorded = document(s3, asset)
        epochs = [segment["epoch"] for segment in recorded["segments"]]  # type: ignore[index, attr-defined]
        assert epochs == sorted(epochs) and len(set(epochs)) == 2 and len(epochs) >= stored + 3
        assert len(ended[-1].data["recording_times"]) == 2
        starts = [segment["tracks"]["video"]["start"] for segment in recorded["segments"]]  # type: ignore[index, attr-defined]
        assert starts == sorted(starts), "media time rises, also where nobody knows how far it had come"

        served = ServedAsset(id=asset, store=s3.settings.url, endpoint=s3.endpoint, playback_ids=("recording-of-it",))
        await second.put(msgspec.structs.replace(second.config, assets=(served,)))
        decoded = await decode(f"http://127.0.0.1:{second.http}/recording-of-it.m3u8")
        assert (
            decoded.video == pytest.approx(float(str(recorded["duration"])) * 30, rel=0.05) and not decoded.complaints
        )

        opened = open_store(s3.settings.url, endpoint=s3.endpoint, region="us-east-1", credentials=s3.credentials)
        told: list[float] = []
        exported = await export(opened, asset, tmp_path / "kept.mp4", begins=told.append, progress=told.append)
        whole = await decode(str(tmp_path / "kept.mp4"))
        assert (whole.video, whole.complaints) == (decoded.video, "") and abs(whole.audio - decoded.audio) <= 2
        assert exported.size == (tmp_path / "kept.mp4").stat().st_size and told == [told[0], *sorted(told[1:])]
    finally:
        await second.stop()


async def test_a_store_that_is_away_is_caught_up_with(s3: S3Server, tmp_path: Path) -> None:
    """It is away from before the broadcast until after the encoder has left."""
    s3.stop()
    recorder = pod(s3, tmp_path / "pod")
    await recorder.start()
    try:
        async with recorder.publisher():
            told = await recorder.events_until(E.STREAM_ACTIVE)
            spooled = recorder.data / "ingest" / "spool"
            await until(lambda: sum(1 for _ in spooled.rglob("manifest/*/*.json")) >= 4)
        asset = asset_of(told)
        async with recorder.asked("POST", f"/v1/broadcasts/{asset}/complete") as answer:
            assert answer.status == 204
        s3.start()
        await until(lambda: f"assets/{asset}/asset.json" in s3.objects)
        segments = document(s3, asset)["segments"]
        numbers = [segment["number"] for segment in segments]  # type: ignore[attr-defined]
        assert numbers == list(range(len(numbers))) and len(numbers) >= 4
        assert not any(segment.get("discontinuity") for segment in segments)  # type: ignore[attr-defined]
        everything = await recorder.events_until(E.ASSET_COMPLETED)
        assert _warnings(everything) in (["RecordingStalled"], ["RecordingStalled", "RecordingResumed"])
    finally:
        await recorder.stop()


async def test_what_waits_is_uploaded_before_the_pod_ends(s3: S3Server, tmp_path: Path) -> None:
    s3.freeze()
    recorder = pod(s3, tmp_path / "pod")
    await recorder.start()
    async with recorder.publisher():
        await recorder.events_until(E.STREAM_ACTIVE)
        stopping = asyncio.create_task(recorder.stop())
        await asyncio.sleep(0)
        s3.thaw()
        assert await stopping == 0
    spool = recorder.data / "ingest" / "spool"
    assert entries(s3) and not [file for file in spool.rglob("*") if file.is_file()]


def _warnings(events: Events) -> list[str]:
    return [event.data["reason"] for event in events if event.type is EventType.STREAM_WARNING]
