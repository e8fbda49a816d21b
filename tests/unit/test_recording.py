"""Recordings: what is in the store is playable at every moment, whatever is killed, full or slow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import m3u8
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_parts import REF, Listener, begin, inits, segment, until

from onair_core.contract import BroadcastRef
from onair_media.recording import Recorder, RecordingView, finish_recording, read_recording
from onair_media.recording import recorder as recorder_module
from onair_media.store import ObjectStore, StoreError, open_store


class FailingStore(ObjectStore):
    """A real store that fails from the nth write on, until it is told to work again."""

    def __init__(self, folder: Path, fail_after: int = 10**9) -> None:
        super().__init__(open_store(f"file://{folder}")._store)
        self.left = fail_after

    def _spend(self) -> None:
        if self.left <= 0:
            raise StoreError("No space left on device")
        self.left -= 1

    async def put(self, path: str, data: bytes) -> None:
        self._spend()
        await super().put(path, data)

    async def create(self, path: str, data: bytes) -> bool:
        self._spend()
        return await super().create(path, data)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(recorder_module, "LAST_RETRY_SECONDS", 0.01)


async def test_while_live_it_is_an_event_playlist_of_what_is_stored(tmp_path: Path) -> None:
    store, listener = FailingStore(tmp_path), Listener()
    recorder = begin(store, listener)
    view = RecordingView(recorder.recording, store)
    recorder.add(segment(0))
    recorder.add(segment(1))
    await until(lambda: listener.ready)
    assert view.multivariant("some-playback-id") is None, "no playlist before the target duration is fixed"
    recorder.fix_target_duration(2)
    playlist = view.media_playlist("video")
    assert playlist is not None
    parsed = m3u8.loads(playlist.text.decode())
    assert parsed.playlist_type == "event" and not parsed.is_endlist and len(parsed.segments) == 2
    media = await view.media(parsed.segments[1].uri)
    assert media is not None and media.size == 100 and not isinstance(media.content, bytes)
    assert b"".join([piece async for piece in media.content.stream(0, 2)]) == b"v1"
    assert await view.media(f"{REF.id}/3/video/9.m4s") is None
    await recorder.finish()


async def test_afterwards_the_folder_is_a_plain_recording(tmp_path: Path) -> None:
    store = FailingStore(tmp_path)
    recorder = begin(store, Listener())
    recorder.fix_target_duration(2)
    for number in range(3):
        recorder.add(segment(number, discontinuity=number == 2))
    await recorder.finish()
    folder = tmp_path / "assets" / REF.id
    index = m3u8.loads((folder / "index.m3u8").read_text())
    assert index.playlists[0].stream_info.codecs == "avc1.64001f,mp4a.40.2"
    for name in (index.playlists[0].uri, index.media[0].uri):
        parsed = m3u8.loads((folder / name).read_text())
        assert parsed.playlist_type == "vod" and parsed.is_endlist
        assert [s.discontinuity for s in parsed.segments] == [False, False, True]
        for part in parsed.segments:
            assert (folder / part.uri).is_file() and (folder / part.init_section.uri).is_file()
    again = await read_recording(store, REF.id)
    assert again is not None and again.ended and again.duration == 6.0 and len(again.times) == 2


@pytest.mark.parametrize("writes", range(20))
async def test_killed_after_any_write_the_rest_is_a_playable_prefix_and_can_be_finished(
    tmp_path: Path, writes: int
) -> None:
    store, listener = FailingStore(tmp_path, writes), Listener()
    recorder = begin(store, listener)
    recorder.fix_target_duration(2)
    for number in range(3):
        recorder.add(segment(number))
    finishing = asyncio.ensure_future(recorder.finish())
    await until(lambda: listener.warnings or finishing.done())
    recorder._task.cancel()
    finishing.cancel()
    await asyncio.gather(recorder._task, finishing, return_exceptions=True)

    store.left = 10**9
    recording = await read_recording(store, REF.id)
    if recording is None:
        assert writes == 0
        return
    for number, record in enumerate(recording.segments):
        assert record.number == number
    for path in recording.sizes:
        assert (tmp_path / "assets" / path).is_file(), "listed, so it is there"
    await finish_recording(store, recording)
    await finish_recording(store, recording)  # may be repeated
    again = await read_recording(store, REF.id)
    assert again is not None and again.ended and again.segments == recording.segments


async def test_a_store_that_is_away_is_reported_once_and_nothing_is_lost(tmp_path: Path) -> None:
    store, listener = FailingStore(tmp_path, 5), Listener()
    recorder = begin(store, listener)
    for number in range(4):
        recorder.add(segment(number))
    await until(lambda: listener.warnings)
    store.left = 10**9
    await recorder.finish()
    assert listener.warnings == ["RecordingStalled", "RecordingResumed"]
    assert [record.number for record in recorder.recording.segments] == [0, 1, 2, 3]


async def test_past_the_budget_the_oldest_waiting_is_dropped_and_the_hole_is_marked(tmp_path: Path) -> None:
    store, listener = FailingStore(tmp_path, 0), Listener()
    recorder = begin(store, listener, budget=2500)
    for number in range(6):
        recorder.add(segment(number, size=500))
    await until(lambda: listener.warnings)
    assert "RecordingHole" in listener.warnings
    store.left = 10**9
    await recorder.finish()
    kept = recorder.recording.segments
    numbers = [record.number for record in kept]
    assert numbers[0] == 0 and numbers[-1] == 5 and len(numbers) < 6
    for before, after in zip(kept, kept[1:], strict=False):
        assert after.discontinuity == (after.number != before.number + 1)


async def test_the_next_epoch_goes_on_in_the_same_recording(tmp_path: Path) -> None:
    store = FailingStore(tmp_path)
    first = begin(store, Listener())
    first.fix_target_duration(2)
    first.add(segment(0))
    first.add(segment(1))
    await first.abandon()

    known = await read_recording(store, REF.id)
    assert known is not None and known.media_end == 4.0 and known.target_duration == 2
    second = Recorder(store, BroadcastRef(REF.id, 4), known, Listener())
    for init in inits():
        second.add_init(init)
    second.add(segment(0, discontinuity=True))
    await second.finish()
    playlist = known.playlist("video")
    assert playlist is not None
    parsed = m3u8.loads(playlist.playlist().text.decode())
    assert [s.uri.removeprefix(REF.id) for s in parsed.segments] == [
        "/3/video/0.m4s",
        "/3/video/1.m4s",
        "/4/video/0.m4s",
    ]
    assert [s.discontinuity for s in parsed.segments] == [False, False, True]
    assert parsed.segments[2].init_section.uri == f"{REF.id}/4/video/init-0.mp4"


@settings(deadline=None, max_examples=50)  # its time is the disk's
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 30))
def test_reading_it_back_gives_the_same_playlists(discontinuities: list[bool], fixed_at: int) -> None:
    async def check(folder: Path) -> None:
        store = FailingStore(folder)
        recorder = begin(store, Listener())
        for number, discontinuity in enumerate(discontinuities):
            if number == fixed_at:
                recorder.fix_target_duration(2)
            recorder.add(segment(number, discontinuity=discontinuity))
        await recorder.finish()
        again = await read_recording(store, REF.id)
        assert again is not None
        for name in ("video", "audio"):
            mine, theirs = recorder.recording.playlist(name), again.playlist(name)
            assert mine is not None and theirs is not None and mine.text() == theirs.text()

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))
