"""Recordings in a real S3 server: while it is there, slow, away, or does not know the credentials."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from recording_parts import REF, Listener, begin, segment, until

from onair_core.contract import BroadcastRef
from onair_media.recording import AssetLibrary, Recorder, Recording, TakenOverError, read_recording
from onair_media.recording.fence import Fence
from onair_media.store import StoreError, Stores, open_store
from s3_server import S3Server


class Installation:
    """Stores of a process whose credentials can be exchanged."""

    def __init__(self, s3: S3Server, folder: Path) -> None:
        self.credentials: Mapping[str, str] = s3.credentials
        self.stores = Stores(folder / "spool", lambda _url: self.credentials)
        self.stores.know(s3.settings)
        self.store = self.stores.get(s3.settings.url)
        self.listener = Listener()

    def record(self, ref: BroadcastRef = REF) -> Recorder:
        recorder = begin(self.store, self.listener, ref)
        recorder.fix_target_duration(2)
        return recorder


async def test_segments_are_in_the_bucket_while_the_broadcast_is_on(s3: S3Server, tmp_path: Path) -> None:
    process = Installation(s3, tmp_path)
    recorder = process.record()
    for number in range(3):
        recorder.add(segment(number, size=200_000))
    await until(lambda: sum("/manifest/" in name for name in s3.objects) == 3)
    assert f"assets/{REF.id}/{REF.epoch}/video/2.m4s" in s3.objects and process.listener.ready
    assert await recorder.finish()
    assert {f"assets/{REF.id}/{name}" for name in ("asset.json", "index.m3u8", "video.m3u8")} <= set(s3.objects)
    assert process.stores.waiting_bytes == 0 and not process.listener.warnings

    elsewhere = open_store(s3.settings.url, endpoint=s3.endpoint, credentials=s3.credentials)
    view = await AssetLibrary().open(REF.id, elsewhere)
    assert view is not None
    media = await view.media(f"{REF.id}/{REF.epoch}/video/1.m4s")
    assert media is not None and media.size == 200_000 and not isinstance(media.content, bytes)
    assert b"".join([piece async for piece in media.content.stream(0, 6)]) == b"v1...."
    await elsewhere.put("large", bytes(40_000_000))
    assert await elsewhere.sizes("large") == {} and await elsewhere.has("large")
    await elsewhere.delete(["large"])
    await elsewhere.delete([*await elsewhere.sizes(f"assets/{REF.id}/")])
    assert s3.objects == []


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_a_server_that_is_away_for_a_while_misses_nothing(s3: S3Server, tmp_path: Path, how: str) -> None:
    process = Installation(s3, tmp_path)
    recorder = process.record()
    recorder.add(segment(0))
    await until(lambda: any("/manifest/" in name for name in s3.objects))
    s3.stop() if how == "stopped" else s3.freeze()
    for number in range(1, 40):
        recorder.add(segment(number, size=50_000))
    spooled = tmp_path / "spool"
    await until(lambda: sum(1 for _ in spooled.rglob("manifest/*/*.json")) == 39)
    if how == "stopped":
        await until(lambda: "RecordingStalled" in process.listener.warnings)
    s3.start() if how == "stopped" else s3.thaw()
    assert await recorder.finish()
    found = await read_recording(process.store, REF.id)
    assert found is not None and [each.number for each in found.segments] == list(range(40))
    assert not any(each.discontinuity for each in found.segments)
    assert process.listener.warnings in ([], ["RecordingStalled", "RecordingResumed"])
    assert not [file for file in spooled.rglob("*") if file.is_file()]


async def test_credentials_that_are_wrong_are_told_and_can_be_renewed(s3: S3Server, tmp_path: Path) -> None:
    process = Installation(s3, tmp_path)
    process.credentials = {**s3.credentials, "AWS_SECRET_ACCESS_KEY": "forgotten"}
    process.stores.refresh()
    recorder = process.record()
    recorder.add(segment(0))
    await until(lambda: process.listener.warnings == ["RecordingStalled"])
    process.credentials = s3.credentials
    process.stores.refresh()
    assert await recorder.finish()
    assert process.listener.warnings == ["RecordingStalled", "RecordingResumed"]


async def test_an_epoch_has_one_writer_and_the_next_one_ends_it(s3: S3Server, tmp_path: Path) -> None:
    one, other = Installation(s3, tmp_path / "one"), Installation(s3, tmp_path / "other")
    recorder = one.record()
    recorder.add(segment(0))
    await until(lambda: one.listener.warnings == [] and any("/manifest/" in name for name in s3.objects))
    with pytest.raises(TakenOverError):
        await Fence(other.store, REF).claim(recorder.recording.origin)

    following = BroadcastRef(REF.id, REF.epoch + 1)
    recording = Recording(REF.id, recorder.recording.origin)
    recording.unread = True
    second = Recorder(other.store, following, recording, other.listener)
    second.fix_target_duration(2)
    second.add(segment(0))
    await until(lambda: len(second.recording.segments) == 2)
    with pytest.raises(TakenOverError):
        await recorder._fence.check()
    assert not await recorder.finish() and one.listener.warnings == ["RecordingTakenOver"]
    assert await second.finish()
    found = await read_recording(other.store, REF.id)
    assert found is not None and [(each.epoch, each.number) for each in found.segments] == [(3, 0), (4, 0)]


async def test_what_cannot_be_opened_says_why(s3: S3Server) -> None:
    absent = open_store("s3://no-such-bucket/x", endpoint=s3.endpoint, credentials=s3.credentials)
    with pytest.raises(StoreError, match=r"NoSuchBucket|not found"):
        await absent.put("a", b"")
    with pytest.raises(StoreError, match="not valid"):
        open_store("s3://a", credentials={"nonsense": "x"})
    with pytest.raises(StoreError):
        open_store("ftp://a/b")
    s3.stop()
    with pytest.raises(StoreError, match=r"error sending request|onnection refused"):
        async with asyncio.timeout(15):
            await absent.put("a", b"")
