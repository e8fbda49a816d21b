"""Recordings that are played: opened once for everybody, off the event loop, and bounded by what they take."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest
from hls_segments import init, segment

from onair_media.cmaf.model import Rendition
from onair_media.ingest.directory import PlaybackDirectory
from onair_media.recording import (
    AssetLibrary,
    FinishedView,
    Origin,
    Recording,
    RecordingView,
    finish_recording,
    read_recording,
)
from onair_media.recording import library as library_module
from onair_media.recording.model import InitRecord, record_segment
from onair_media.recording.view import StoredMedia
from onair_media.store import ObjectStore, StoreError, open_store

ORIGIN = Origin(namespace="default", stream="keynote", stream_uid="u", created_at=1000.0)


class CountingStore(ObjectStore):
    """Counts what is read, and fails while it is told to."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store._store)
        self.reads: list[str] = []
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(self, path: str) -> bytes | None:
        self.reads.append(path)
        await self.gate.wait()
        if self.failing:
            raise StoreError("the disk is gone")
        return await super().get(path)


@pytest.fixture
async def store(tmp_path: Path) -> CountingStore:
    return CountingStore(open_store(tmp_path.as_uri()))


def made(asset_id: str, count: int = 5, *, gap: tuple[Rendition, ...] = ()) -> Recording:
    """Two epochs, the second with init segments of its own."""
    recording = Recording(asset_id, ORIGIN)
    recording.fix_target_duration(2)
    for epoch in (1, 11):
        for number in range(count):
            inits = [InitRecord.of(epoch, init(name)) for name in ("video", "audio")] if number == 0 else []
            one = segment(number, start=float(2 * number), gap=gap if number == 2 else ())
            record = record_segment(epoch, one, inits, discontinuity=number == 0, target_duration=2)
            recording.add(record)
    return recording


async def finished(store: ObjectStore, asset_id: str, count: int = 5) -> Recording:
    recording = made(asset_id, count, gap=("audio",))
    await finish_recording(store, recording)
    return recording


async def test_finished_it_reads_as_it_did_when_it_ended(store: CountingStore) -> None:
    """Byte for byte: a player that has followed it to its end, or a cache, must not notice."""
    recording = await finished(store, "keynote-7f3k2")
    before, after = RecordingView(recording, store), await AssetLibrary().open("keynote-7f3k2", store)
    assert isinstance(after, FinishedView)
    one, other = before.multivariant("some-id-1"), after.multivariant("some-id-1")
    assert one is not None and other is not None
    assert (other.text, other.etag, other.final, other.max_age) == (one.text, one.etag, one.final, one.max_age)
    for rendition in ("video", "audio"):
        one, other = before.media_playlist(rendition), after.media_playlist(rendition)
        assert one is not None and other is not None
        assert (other.text, other.etag, other.final, other.max_age) == (one.text, one.etag, one.final, one.max_age)
    assert after.media_playlist("subtitles") is None


async def test_every_file_has_its_size_and_nothing_else_does(store: CountingStore) -> None:
    recording = await finished(store, "keynote-7f3k2")
    view = await AssetLibrary().open("keynote-7f3k2", store)
    assert view is not None
    assert len(recording.sizes) == 2 * (5 + 4) + 4
    for path, size in recording.sizes.items():
        media = await view.media(path)
        assert media is not None and media.size == size
    for path in (
        "keynote-7f3k2/1/audio/2.m4s",  # a gap
        "keynote-7f3k2/1/video/5.m4s",
        "keynote-7f3k2/2/video/0.m4s",
        "keynote-7f3k2/1/video/init-1.mp4",
        "keynote-abcde/1/video/0.m4s",
        "keynote-7f3k2/asset.json",
        "../keynote-7f3k2/1/video/0.m4s",
    ):
        assert await view.media(path) is None


async def test_a_crowd_opens_it_once_and_who_leaves_takes_it_from_nobody(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await finished(store, "keynote-7f3k2")
    threads: list[threading.Thread] = []
    build = library_module.build

    def watched(*arguments: object) -> FinishedView:
        threads.append(threading.current_thread())
        return build(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(library_module, "build", watched)
    library = AssetLibrary()
    store.gate.clear()
    crowd = [asyncio.create_task(library.open("keynote-7f3k2", store)) for _ in range(50)]
    await asyncio.sleep(0)
    crowd[0].cancel()
    store.gate.set()
    views = await asyncio.gather(*crowd[1:])
    assert len({id(view) for view in views}) == 1
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread(), "the event loop goes on meanwhile"
    assert store.reads.count("assets/keynote-7f3k2/asset.json") == 1
    assert library.get("keynote-7f3k2") is views[0]


async def test_a_failure_is_the_same_for_all_who_ask_within_a_second(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_module, "RETRY_SECONDS", 0.2)
    await finished(store, "keynote-7f3k2")
    store.failing = True
    store.reads.clear()
    library = AssetLibrary()
    for _ in range(20):
        with pytest.raises(StoreError):
            await library.open("keynote-7f3k2", store)
    assert len(store.reads) == 1
    store.failing = False
    async with asyncio.timeout(30):
        while True:
            try:
                assert await library.open("keynote-7f3k2", store) is not None
                break
            except StoreError:
                await asyncio.sleep(0.01)


async def test_what_is_not_there_yet_is_looked_for_once_in_a_second(store: CountingStore) -> None:
    library = AssetLibrary()
    for _ in range(20):
        assert await library.open("keynote-7f3k2", store) is None
    assert store.reads.count("assets/keynote-7f3k2/origin.json") == 1


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b'{"format": 99, "segments": []}',
        b'{"format": 1, "segments": [{"epoch": 1}]}',
        b'{"format": 1, "segments": [{"epoch": 1, "number": -1, "tracks": {"video": {"size": 1}}}]}',
    ],
)
async def test_a_damaged_document_is_a_store_error(store: CountingStore, document: bytes) -> None:
    await store.put("assets/keynote-7f3k2/asset.json", document)
    with pytest.raises(StoreError):
        await AssetLibrary().open("keynote-7f3k2", store)


async def test_what_is_open_is_bounded_by_bytes_and_the_longest_unplayed_goes_first(store: CountingStore) -> None:
    for name in ("first-7f3k2", "other-7f3k2", "third-7f3k2"):
        await finished(store, name, 200)
    probe = await AssetLibrary().open("first-7f3k2", store)
    assert isinstance(probe, FinishedView)
    library = AssetLibrary(max_open_bytes=int(probe.bytes_held * 2.5))
    await library.open("first-7f3k2", store)
    await library.open("other-7f3k2", store)
    assert library.get("first-7f3k2") is not None
    await library.open("third-7f3k2", store)
    assert [library.get(name) is not None for name in ("first-7f3k2", "other-7f3k2", "third-7f3k2")] == [
        True,
        False,
        True,
    ]
    tiny = AssetLibrary(max_open_bytes=1)
    assert await tiny.open("first-7f3k2", store) is not None
    assert tiny.get("first-7f3k2") is not None, "one is open however large it is"


async def test_the_table_of_sizes_is_small(store: CountingStore) -> None:
    await finished(store, "keynote-7f3k2", 500)
    view = await AssetLibrary().open("keynote-7f3k2", store)
    assert isinstance(view, FinishedView)
    texts = [view.media_playlist(name) for name in ("video", "audio")]
    held = sum(len(text.text) + len(text.gzipped) for text in texts if text is not None)
    assert view.bytes_held - held < 10_001 + 16 * 2010


async def test_when_it_is_finished_what_grew_is_let_go(store: CountingStore) -> None:
    recording, library = made("keynote-7f3k2"), AssetLibrary()
    growing = library.begin(recording, store)
    assert await library.open("keynote-7f3k2", store) is growing
    await finish_recording(store, recording)
    library.end("keynote-7f3k2")
    assert library.get("keynote-7f3k2") is None
    assert isinstance(await library.open("keynote-7f3k2", store), FinishedView)


async def test_one_left_unfinished_is_read_anew_when_it_has_been_finished(store: CountingStore) -> None:
    await store.put("assets/keynote-7f3k2/origin.json", msgspec.json.encode(ORIGIN))
    recording, library = made("keynote-7f3k2"), AssetLibrary()
    for record in recording.segments:
        path = f"assets/keynote-7f3k2/manifest/{record.epoch}/{record.number}.json"
        await store.put(path, msgspec.json.encode(record))
    unfinished = await library.open("keynote-7f3k2", store)
    assert isinstance(unfinished, RecordingView)
    assert await library.open("keynote-7f3k2", store) is unfinished
    again = await read_recording(store, "keynote-7f3k2")
    assert again is not None
    await finish_recording(store, again)
    library.end("keynote-7f3k2")
    assert isinstance(await library.open("keynote-7f3k2", store), FinishedView)


async def test_an_object_that_is_too_short_is_an_error_where_it_ends(store: CountingStore) -> None:
    await store.put("assets/a/1/video/0.m4s", bytes(300_000))
    media = StoredMedia(store, "assets/a/1/video/0.m4s")
    came = 0
    with pytest.raises(StoreError):
        async for chunk in media.stream(0, 400_000):
            came += len(chunk)
    assert came == 262_144
    assert sum([len(chunk) async for chunk in media.stream(0, 300_000)]) == 300_000


async def test_a_recording_has_its_title_before_anyone_has_opened_it(store: CountingStore) -> None:
    await finished(store, "keynote-7f3k2")
    store.reads.clear()
    directory = PlaybackDirectory(AssetLibrary())
    directory.set_asset("keynote-7f3k2", store, {"asset-keynote"}, "Keynote 2026")
    assert directory.title("asset-keynote") == "Keynote 2026"
    assert directory.title("unknown-id-1") is None
    assert store.reads == []
    assert directory.at_hand("asset-keynote") is None
    view = await directory.lookup("asset-keynote")
    assert directory.at_hand("asset-keynote") is view is not None
    assert directory.title("asset-keynote") == "Keynote 2026"
    directory.set_asset("keynote-7f3k2", store, {"asset-keynote"}, "Another title")
    assert directory.title("asset-keynote") == "Another title"
